import type { Reader, Writer } from './bytes.js'

/**
 * One request of Kafka's protocol, in the versions that we speak. The highest that broker and table have in common is used.
 * Versions from `flexible` on use compact encodings (KIP-482).
 */
export interface Api<Req, Res> {
  readonly key: number
  readonly name: string
  readonly versions: readonly [lowest: number, highest: number]
  readonly flexible?: number
  encode(w: Writer, request: Req, version: number): void
  decode(r: Reader, version: number): Res
}

export const api = <Req, Res>(a: Api<Req, Res>): Api<Req, Res> => a
