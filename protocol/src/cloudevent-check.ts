import { fnapError, isFnapError } from './errors.js'
import { parseTime } from './time.js'
import { decodeBase64 } from './values.js'

/** A CloudEvent in JSON, parsed. */
export type CloudEvent = Readonly<Record<string, unknown>>

const NAME = /^[a-z0-9]+$/
/** C0, DEL and C1; a lone surrogate never gets here, since JSON text is UTF-8 (an escaped one does, and is refused). */
const FORBIDDEN = /[\x00-\x1f\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/
const REQUIRED = ['id', 'source', 'type'] as const

const bad = (rule: string) => fnapError('BADEVENT', rule)
const set = (event: CloudEvent, name: string): boolean =>
  Object.hasOwn(event, name) && event[name] !== null && event[name] !== undefined

/** Is it a JSON object that says which version of CloudEvents it follows? */
export const isCloudEvent = (value: unknown): value is CloudEvent =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, 'specversion')

/**
 * Checks a CloudEvent (1.0.2, JSON format): version, the three attributes that it must have, the names and the types of
 * all others, and its data. An attribute that is null counts as absent.
 * @throws FnapError BADEVENT
 */
export function checkCloudEvent(event: CloudEvent): void {
  if (event['specversion'] !== '1.0') throw bad('specversion of a CloudEvent is 1.0')
  for (const name of REQUIRED) if (!set(event, name)) throw bad(`a CloudEvent has ${REQUIRED.join(', ')}`)
  for (const name of Object.keys(event)) {
    if (name === 'data' || name === 'data_base64') continue
    if (!NAME.test(name)) throw bad('an attribute of a CloudEvent has a name of a-z 0-9')
    if (set(event, name)) checkAttribute(name, event[name])
  }
  if (set(event, 'data') && set(event, 'data_base64')) throw bad('a CloudEvent has data or data_base64')
  if (set(event, 'data_base64')) checkBase64(event['data_base64'])
}

function checkAttribute(name: string, value: unknown): void {
  if (typeof value === 'boolean' || typeof value === 'number') {
    if (CORE.has(name)) throw bad(`${name} of a CloudEvent is a string`)
    if (typeof value === 'number' && (value | 0) !== value)
      throw bad('a number in a CloudEvent is a whole one of 32 bits')
    return
  }
  if (typeof value !== 'string') throw bad('an attribute of a CloudEvent is a string, a whole number, true or false')
  if (FORBIDDEN.test(value)) throw bad('an attribute of a CloudEvent holds no control character')
  if (CORE.has(name) && value === '') throw bad(`${name} of a CloudEvent is not empty`)
  if (name === 'time') checkTime(value)
  if (name === 'datacontenttype' && !/^[^/\s]+\/[^/\s;]+/.test(value)) throw bad('datacontenttype is a media type')
}

const CORE: ReadonlySet<string> = new Set([
  ...REQUIRED,
  'specversion',
  'datacontenttype',
  'dataschema',
  'subject',
  'time',
])

/** The names that CloudEvents itself gives a meaning. */
export const isCoreAttribute = (name: string): boolean => CORE.has(name) || name === 'data' || name === 'data_base64'

/** Is it a name that an extension may have? */
export const isAttributeName = (name: string): boolean => name.length <= 64 && NAME.test(name)

/** Is it text that an attribute may hold? */
export const isAttributeText = (text: string): boolean => text !== '' && !FORBIDDEN.test(text)

function checkTime(value: string): void {
  try {
    parseTime(value)
  } catch (error) {
    if (isFnapError(error)) throw bad('time of a CloudEvent is a time with its zone, as RFC 3339 writes it')
    throw error
  }
}

function checkBase64(value: unknown): void {
  try {
    if (typeof value === 'string' && value !== '=') {
      decodeBase64(value)
      return
    }
  } catch {
    // Said below, for every way of being wrong.
  }
  throw bad('data_base64 of a CloudEvent is base64')
}

/**
 * How deep the brackets of a JSON text nest. A scan without recursion, for texts that a recursive reader would not
 * survive.
 */
export function jsonDepth(json: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let at = 0; at < json.length; at++) {
    const c = json.charCodeAt(at)
    if (inString) {
      if (c === 0x5c) at++
      else if (c === 0x22) inString = false
    } else if (c === 0x22) inString = true
    else if (c === 0x7b || c === 0x5b) deepest = Math.max(deepest, ++depth)
    else if (c === 0x7d || c === 0x5d) depth--
  }
  return deepest
}
