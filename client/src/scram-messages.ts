import { ClientError } from './errors.js'
import { MAX_ITERATIONS, MIN_ITERATIONS } from './scram.js'

/** The messages of SCRAM (RFC 5802 §7). A parser that finds anything else throws FNA_ERR_INVALID. */
export interface ClientFirst {
  /** `n`: cannot bind. `y`: could, but thinks the server cannot. Else the name of the binding asked for. */
  readonly binding: 'n' | 'y' | { readonly name: string }
  readonly authzid: string | null
  readonly user: string
  readonly nonce: string
  /** The header with its two commas, and what is behind it: both are signed. */
  readonly gs2: string
  readonly bare: string
}
export interface ServerFirst {
  readonly nonce: string
  readonly salt: Uint8Array
  readonly iterations: number
}
export interface ClientFinal {
  readonly binding: Uint8Array
  readonly nonce: string
  readonly proof: Uint8Array
  readonly withoutProof: string
}

const GS2 = /^(?:([ny])|p=([A-Za-z0-9.-]{1,40})),(?:a=([^,\0]{1,1024}))?,/
const BARE = /^n=([^,\0]{1,1024}),r=([\x21-\x2b\x2d-\x7e]{16,256})$/
const FIRST = /^r=([\x21-\x2b\x2d-\x7e]{16,512}),s=([A-Za-z0-9+/]{2,172}={0,2}),i=([1-9]\d{0,7})$/
const FINAL = /^(c=([A-Za-z0-9+/]{4,2000}={0,2}),r=([\x21-\x2b\x2d-\x7e]{16,512})),p=([A-Za-z0-9+/]{43}=)$/
const LONGEST = 4096

const bad = (what: string): ClientError => new ClientError('FNA_ERR_INVALID', `${what} of SCRAM is malformed`)

/** Commas and equal signs in names (RFC 5802 §5.1). */
export const escapeName = (name: string): string => name.replaceAll('=', '=3D').replaceAll(',', '=2C')

function unescapeName(text: string): string {
  if (/=(?!2C|3D)/.test(text)) throw bad('a name')
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

export function parseClientFirst(text: string): ClientFirst {
  const header = text.length <= LONGEST ? GS2.exec(text) : null
  if (!header) throw bad('the first message')
  const gs2 = header[0]
  const bare = text.slice(gs2.length)
  const m = BARE.exec(bare)
  if (!m) throw bad('the first message')
  return {
    binding: header[2] !== undefined ? { name: header[2] } : (header[1] as 'n' | 'y'),
    authzid: header[3] === undefined ? null : unescapeName(header[3]),
    user: unescapeName(m[1] as string),
    nonce: m[2] as string,
    gs2,
    bare,
  }
}

export function formatServerFirst(m: ServerFirst): string {
  return `r=${m.nonce},s=${Buffer.from(m.salt).toString('base64')},i=${m.iterations}`
}

/** Refuses fewer than 4,096 rounds, which would make the proof cheap to attack, and more than five million. */
export function parseServerFirst(text: string): ServerFirst {
  const m = text.length <= LONGEST ? FIRST.exec(text) : null
  if (!m) throw bad("the server's first message")
  const iterations = Number(m[3])
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) {
    throw new ClientError(
      'FNA_ERR_INVALID',
      `the server asks for a number of SCRAM iterations outside ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`,
    )
  }
  return { nonce: m[1] as string, salt: Buffer.from(m[2] as string, 'base64'), iterations }
}

/** `c=<header and channel binding>,r=<nonce>`: what both sides sign, before the proof. */
export function finalWithoutProof(gs2: string, channelBinding: Uint8Array | null, nonce: string): string {
  const input = Buffer.concat([Buffer.from(gs2, 'utf8'), channelBinding ?? new Uint8Array()])
  return `c=${input.toString('base64')},r=${nonce}`
}

export function parseClientFinal(text: string): ClientFinal {
  const m = text.length <= LONGEST ? FINAL.exec(text) : null
  if (!m) throw bad('the final message')
  return {
    withoutProof: m[1] as string,
    binding: Buffer.from(m[2] as string, 'base64'),
    nonce: m[3] as string,
    proof: Buffer.from(m[4] as string, 'base64'),
  }
}
