import { createHash } from 'node:crypto'
import { fnapError } from './errors.js'
import { LIMITS } from './limits.js'

/** What CAPABILITIES says. */
export interface Capabilities {
  /** `FNAP/1` */
  readonly version: string
  readonly starttls: boolean
  /** SASL mechanisms that are valid in this state of the connection. */
  readonly auth: readonly string[]
  readonly brokers: readonly string[]
  /** How subscribers can be served, by one of its brokers at least. */
  readonly modes: readonly string[]
  readonly processors: readonly string[]
  readonly formats: readonly string[]
  readonly codecs: readonly string[]
  /** Bytes; by default those of LIMITS. */
  readonly limits: Readonly<Record<string, number>>
}

/** The limits that are announced, in bytes. */
export const ANNOUNCED_LIMITS: Readonly<Record<string, number>> = Object.freeze({
  line: LIMITS.line,
  auth: LIMITS.authLine,
  frame: LIMITS.frame,
  event: LIMITS.event,
  body: LIMITS.body,
  text: LIMITS.text,
})

const ITEM = /^[A-Za-z0-9][A-Za-z0-9._/+-]{0,63}$/
const LISTS = ['auth', 'brokers', 'modes', 'processors', 'formats', 'codecs'] as const

/**
 * The data lines, without CRLF. Empty lists are left out.
 * @throws TypeError for an item that a list cannot hold
 */
export function formatCapabilities(c: Capabilities): string[] {
  const lines = [`version=${c.version}`, `starttls=${c.starttls ? 'yes' : 'no'}`]
  for (const key of LISTS) {
    for (const item of c[key]) if (!ITEM.test(item)) throw new TypeError(`${key} holds an item that is no word`)
    if (c[key].length > 0) lines.push(`${key}=${c[key].join(',')}`)
  }
  const limits = Object.entries(c.limits).map(([key, bytes]) => `${key}:${bytes}`)
  if (limits.length > 0) lines.push(`limits=${limits.join(',')}`)
  return lines
}

/**
 * Reads the data lines. Keys that are not known are ignored, as are items that are no words.
 * @throws FnapError REMOTE when there is no version, or a key stands twice
 */
export function parseCapabilities(lines: readonly string[]): Capabilities {
  const values = new Map<string, string>()
  for (const line of lines) {
    const equals = line.indexOf('=')
    if (equals < 1) continue
    const key = line.slice(0, equals)
    if (values.has(key)) throw fnapError('REMOTE', 'a capability of the other side stands twice')
    values.set(key, line.slice(equals + 1))
  }
  const version = values.get('version')
  if (version === undefined) throw fnapError('REMOTE', 'the other side does not say its version')
  const list = (key: string) => (values.get(key) ?? '').split(',').filter(item => ITEM.test(item))
  const limits: Record<string, number> = Object.create(null)
  for (const item of (values.get('limits') ?? '').split(',')) {
    const [key, bytes] = item.split(':')
    if (/^[a-z]{1,32}$/.test(key!) && /^[0-9]{1,15}$/.test(bytes ?? '')) limits[key!] = Number(bytes)
  }
  return {
    version,
    starttls: values.get('starttls') === 'yes',
    auth: list('auth'),
    brokers: list('brokers'),
    modes: list('modes'),
    processors: list('processors'),
    formats: list('formats'),
    codecs: list('codecs'),
    limits,
  }
}

/**
 * The bytes that DOMAINKEY-ED25519 signs the hash of: the data lines of the last CAPABILITIES of this TLS session as
 * they stood on the wire in text form, each with its CRLF (hardening H19).
 */
export const capabilitiesBytes = (lines: readonly string[]): Buffer =>
  Buffer.from(lines.map(line => `${line}\r\n`).join(''), 'utf8')

/** SHA-256 of those bytes. */
export const capabilitiesHash = (lines: readonly string[]): Buffer =>
  createHash('sha256').update(capabilitiesBytes(lines)).digest()
