import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { ClientError } from './errors.js'

const derive = promisify(pbkdf2)

/** The mathematics and the stored record of SCRAM-SHA-256 (RFC 5802 §3, RFC 7677). Messages are in scram-messages.ts. */
export interface ScramRecord {
  /** Rounds of PBKDF2; 4,096 at least (RFC 7677 §4). */
  readonly iterations: number
  readonly salt: Uint8Array
  readonly stored: Uint8Array
  readonly server: Uint8Array
}

export const SCRAM_NAME = 'SCRAM-SHA-256'
export const SCRAM_PLUS_NAME = 'SCRAM-SHA-256-PLUS'
/** The only channel binding in use (RFC 9266), its label and its length in bytes. */
export const CHANNEL_BINDING = { name: 'tls-exporter', label: 'EXPORTER-Channel-Binding', length: 32 } as const

export const MIN_ITERATIONS = 4096
/** What a client agrees to compute: a server that asks for more wants to keep it busy. */
export const MAX_ITERATIONS = 5_000_000
/** For secrets made of 128 random bits or more, which nobody can guess: the least that the RFC allows. */
export const RANDOM_SECRET_ITERATIONS = MIN_ITERATIONS

const hmac = (key: Uint8Array, data: Uint8Array | string): Buffer => createHmac('sha256', key).update(data).digest()
const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest()

/**
 * `Hi(password, salt, i)`. The password has gone through SASLprep. It takes a thread of libuv's pool: in an agent call
 * it inside the kernel's hashing queue.
 */
export function saltedPassword(password: string, salt: Uint8Array, iterations: number): Promise<Buffer> {
  return derive(Buffer.from(password, 'utf8'), salt, iterations, 32, 'sha256')
}

/** Both keys that a record holds, from `Hi()`. */
export function recordKeys(salted: Uint8Array): { readonly stored: Buffer; readonly server: Buffer } {
  return { stored: sha256(hmac(salted, 'Client Key')), server: hmac(salted, 'Server Key') }
}

/**
 * Makes the record of a password (prepared by SASLprep).
 * @throws FNA_ERR_INVALID for fewer than 4,096 rounds
 */
export async function makeRecord(
  password: string,
  opt: { readonly iterations: number; readonly salt?: Uint8Array },
): Promise<ScramRecord> {
  if (!Number.isInteger(opt.iterations) || opt.iterations < MIN_ITERATIONS) {
    throw new ClientError('FNA_ERR_INVALID', `SCRAM needs ${MIN_ITERATIONS} iterations or more`)
  }
  const salt = opt.salt ?? randomBytes(16)
  return { iterations: opt.iterations, salt, ...recordKeys(await saltedPassword(password, salt, opt.iterations)) }
}

/** Does a password (prepared by SASLprep) belong to this record? Takes as long for a wrong one. */
export async function checkPassword(record: ScramRecord, password: string): Promise<boolean> {
  const { stored } = recordKeys(await saltedPassword(password, record.salt, record.iterations))
  return timingSafeEqual(stored, record.stored)
}

const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the form PostgreSQL stores. */
export function formatRecord(r: ScramRecord): string {
  return `${SCRAM_NAME}$${r.iterations}:${b64(r.salt)}$${b64(r.stored)}:${b64(r.server)}`
}

const RECORD = /^SCRAM-SHA-256\$(\d{4,8}):([A-Za-z0-9+/]{2,172}={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/

/** Reads {@link formatRecord}'s form. @throws FNA_ERR_CORRUPT */
export function parseRecord(text: string): ScramRecord {
  const m = RECORD.exec(text)
  if (!m || Number(m[1]) < MIN_ITERATIONS) throw new ClientError('FNA_ERR_CORRUPT', 'this is no SCRAM-SHA-256 record')
  const bytes = (i: number) => Buffer.from(m[i] as string, 'base64')
  return { iterations: Number(m[1]), salt: bytes(2), stored: bytes(3), server: bytes(4) }
}

/** The client's proof for an AuthMessage (RFC 5802 §3). */
export function clientProof(salted: Uint8Array, authMessage: string): Buffer {
  const key = hmac(salted, 'Client Key')
  return xor(key, hmac(sha256(key), authMessage))
}

/** Does `proof` show knowledge of the password behind `record`? In constant time. */
export function verifyProof(record: ScramRecord, authMessage: string, proof: Uint8Array): boolean {
  if (proof.length !== 32) return false
  const key = xor(proof, hmac(record.stored, authMessage))
  return timingSafeEqual(sha256(key), record.stored)
}

/** The server's signature over an AuthMessage: `serverKey` is the record's, or comes from {@link recordKeys}. */
export function serverSignature(serverKey: Uint8Array, authMessage: string): Buffer {
  return hmac(serverKey, authMessage)
}

/** Equal bytes? In constant time for equal lengths. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function xor(a: Uint8Array, b: Uint8Array): Buffer {
  const out = Buffer.alloc(a.length)
  for (let i = 0; i < a.length; i++) out[i] = (a[i] as number) ^ (b[i] as number)
  return out
}
