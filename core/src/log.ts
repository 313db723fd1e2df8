import { pino } from 'pino'
import type { Logger } from './contract/common.js'

const SECRET = /pass(word)?|secret|credential|token|authorization|initial|private/i
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g
const LONGEST = 2_000
const DEEPEST = 6

/** What a peer said may not move a terminal, make a second line, or fill the disk (hardening H33, security row 12). */
export function clean(value: unknown, key = '', depth = 0): unknown {
  if (SECRET.test(key)) return '***'
  if (typeof value === 'string')
    return value.slice(0, LONGEST).replace(CONTROL, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEEPEST) return '…'
  if (value instanceof Error) return cleanError(value, depth)
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (Array.isArray(value)) return value.slice(0, 50).map(v => clean(v, key, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, clean(v, k, depth + 1)]))
}

function cleanError(e: Error, depth: number): object {
  const { code, plugin, op, detail } = e as { code?: unknown; plugin?: unknown; op?: unknown; detail?: unknown }
  const more = { code, plugin, op, detail, cause: e.cause }
  const known = Object.fromEntries(Object.entries(more).filter(([, v]) => v !== undefined))
  return {
    message: clean(e.message),
    stack: clean(e.stack?.split('\n').slice(1, 6).join(' | ')),
    ...(clean(known, '', depth + 1) as object),
  }
}

/** Structured, one event a line, on standard error: standard output belongs to data. */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error' | 'silent'): Logger {
  const out = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  )
  const at = (l: 'debug' | 'info' | 'warn' | 'error') => (o: object, m?: string) => {
    if (out.isLevelEnabled(l)) out[l](clean(o) as object, m === undefined ? undefined : String(clean(m)))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
