import { type CloudEvent, checkCloudEvent, isCloudEvent, jsonDepth } from './cloudevent-check.js'
import { fnapError } from './errors.js'
import type { FlowEvent } from './events.js'
import { LIMITS } from './limits.js'
import { isWellFormed } from './lines.js'

export interface LineOptions {
  /** KEY of the command: for events that have no `partitionkey` of their own. */
  readonly key?: string
  /** The time stamp that the event gets, milliseconds since 1970. */
  readonly now: number
}

/** Content type of a CloudEvent that is carried whole (Kafka protocol binding 1.0.2 §3.3, structured mode). */
export const STRUCTURED = 'application/cloudevents+json; charset=utf-8'

const header = (contentType: string): FlowEvent['headers'] => [['content-type', Buffer.from(contentType, 'latin1')]]

/**
 * A line of WRITE as an event. A JSON object with `specversion` is a CloudEvent: it is carried whole, byte for byte, so
 * that READ gives back what was written, types of extensions and digits of numbers included (binary mode would make
 * strings of them). Any other JSON object or array is data of `application/json`, anything else of `text/plain`.
 * @throws FnapError BADEVENT, TOOLONG
 */
export function lineToEvent(line: string, opt: LineOptions): FlowEvent {
  if (line.length > LIMITS.event) throw fnapError('TOOLONG', 'an event is too long')
  if (!isWellFormed(line)) throw fnapError('BADEVENT', 'an event is UTF-8')
  const value = Buffer.from(line, 'utf8')
  const given = opt.key === undefined ? null : Buffer.from(opt.key, 'utf8')
  const json = parseContainer(line)
  const size = value.length + (given?.length ?? 0)
  if (size > LIMITS.event) throw fnapError('TOOLONG', 'an event is too long')
  const event = { key: given, value, timestamp: opt.now }
  if (json === undefined) return { ...event, headers: header('text/plain') }
  if (jsonDepth(line) > LIMITS.jsonDepth) throw fnapError('BADEVENT', 'the JSON of an event is nested too deep')
  if (!isCloudEvent(json)) return { ...event, headers: header('application/json') }
  checkCloudEvent(json)
  return { ...event, key: keyOf(json) ?? given, headers: header(STRUCTURED) }
}

/** The object or array of a JSON text, or undefined for any other text. */
export function parseContainer(text: string): unknown {
  const first = /^[ \t\r\n]*([{[])/.exec(text.slice(0, 256))
  if (!first) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function keyOf(event: CloudEvent): Buffer | null {
  const key = event['partitionkey']
  if (typeof key === 'string') return Buffer.from(key, 'utf8')
  const binary = event['partitionkeybase64']
  return typeof binary === 'string' ? Buffer.from(binary, 'base64') : null
}
