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
  /** Nothing comes back for this one (Produce with acks=0, which we never send). */
  readonly silent?: boolean
}
export type Request<A> = A extends Api<infer Req, unknown> ? Req : never
export type Response<A> = A extends Api<never, infer Res> ? Res : never

export const api = <Req, Res>(a: Api<Req, Res>): Api<Req, Res> => a
