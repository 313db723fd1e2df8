import { randomBytes } from 'node:crypto'
import { FnaError } from '@fnaa/core/plugin'

/** Bytes of a name or of a bucket's key at most (the contract's limit for keys). */
export const MAX_KEY = 512

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** 26 characters of base32: 130 random bits, so that no two resources ever share one. */
export function uid(): string {
  return Array.from(randomBytes(26), b => BASE32[b & 31]).join('')
}

/** A group (a kind, a bucket) and a name as one key. The group holds no NUL, so groups never mix. */
export function keyOf(group: string, name: string): Buffer {
  return Buffer.from(`${group}\0${name}`)
}

/** The range of the names in `group` that begin with `prefix` and come after `after`, ends excluded. */
export function rangeOf(group: string, prefix: string, after: string | undefined): { start: Buffer; end: Buffer } {
  const first = keyOf(group, prefix)
  const next = after === undefined ? first : Buffer.concat([keyOf(group, after), Buffer.from([0])])
  // 0xff occurs in no UTF-8 text, so it lies behind every name with this prefix.
  return { start: Buffer.compare(next, first) > 0 ? next : first, end: Buffer.concat([first, Buffer.from([0xff])]) }
}

/** Sorts by bytes of UTF-8, as the tables do. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** @throws FNA_ERR_INVALID */
export function checkName(what: string, name: string): void {
  const bytes = typeof name === 'string' ? Buffer.byteLength(name) : 0
  if (bytes < 1 || bytes > MAX_KEY) throw new FnaError('FNA_ERR_INVALID', `${what} must have 1 to ${MAX_KEY} bytes`)
}

/** @throws FNA_ERR_INVALID */
export function checkGroup(what: string, group: string): void {
  checkName(what, group)
  if (group.includes('\0')) throw new FnaError('FNA_ERR_INVALID', `${what} must not contain NUL`)
}

/** @throws FNA_ERR_INVALID */
export function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new FnaError('FNA_ERR_INVALID', 'limit must be a whole number above 0')
}

/** A change's number as a key: eight bytes, big end first, so that keys sort as numbers. */
export function seqKey(seq: number): Buffer {
  const key = Buffer.alloc(8)
  key.writeBigUInt64BE(BigInt(seq))
  return key
}
