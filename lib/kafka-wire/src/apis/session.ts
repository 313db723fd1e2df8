import { api } from '../api.js'

/** Which versions of which request a broker knows. */
export interface Versions {
  readonly error: number
  readonly ranges: ReadonlyMap<number, readonly [number, number]>
}

/** Version 0 is answered by every broker, whatever else it knows. */
export const apiVersions = api<null, Versions>({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 0],
  encode() {},
  decode: r => ({
    error: r.int16(),
    ranges: new Map(r.array(() => [r.int16(), [r.int16(), r.int16()]] as const)),
  }),
})

export const saslHandshake = api<{ mechanism: string }, { error: number; mechanisms: readonly string[] }>({
  key: 17,
  name: 'SaslHandshake',
  versions: [1, 1],
  encode: (w, q) => void w.string(q.mechanism),
  decode: r => ({ error: r.int16(), mechanisms: r.array(() => r.string() ?? '') }),
})

export interface SaslAnswer {
  readonly error: number
  readonly message: string | null
  readonly data: Buffer
  /** Milliseconds until the session has to authenticate anew; 0: never. */
  readonly lifetimeMs: number
}

export const saslAuthenticate = api<{ data: Uint8Array }, SaslAnswer>({
  key: 36,
  name: 'SaslAuthenticate',
  versions: [0, 1],
  encode: (w, q) => void w.bytes(q.data),
  decode: (r, v) => ({
    error: r.int16(),
    message: r.string(),
    data: r.bytes() ?? Buffer.alloc(0),
    lifetimeMs: v >= 1 ? r.long() : 0,
  }),
})
