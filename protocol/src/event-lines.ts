import { isUtf8 } from 'node:buffer'
import {
  type CloudEvent,
  isAttributeName,
  isAttributeText,
  isCloudEvent,
  isCoreAttribute,
  jsonDepth,
} from './cloudevent-check.js'
import { parseContainer } from './cloudevents.js'
import { asBuffer } from './codecs.js'
import type { FlowEvent } from './events.js'
import { LIMITS } from './limits.js'
import { foldAscii } from './names.js'
import { formatTime } from './time.js'
import { hideEnd } from './values.js'

export interface EventOptions {
  /** The flow's canonical name: `source` of an event that has none is `flow://<flow>`. */
  readonly flow: string
  /** The event's own cursor: `id` of an event that has none. */
  readonly cursor: string
  /** Stands before the cursor in such an id, since a cursor is unique in its shard only. */
  readonly shard?: string
}

/** `type` of an event that has none. */
export const DEFAULT_TYPE = 'fnap.event'

/** Members of a CloudEvent in JSON: name and JSON text, in order. */
type Members = Map<string, string>

/**
 * An event as one line of READ: a CloudEvent 1.0.2 in JSON. A CloudEvent comes out as it is, whichever of Kafka's two
 * modes carried it; `id source type time` and `partitionkey` (from the record's key) are added where there are none.
 * Data is JSON, text or base64 by its content type. `220 OK` never stands in the line.
 */
export function eventToLine(event: FlowEvent, opt: EventOptions): string {
  const contentType = textHeader(event, 'content-type') ?? textHeader(event, 'datacontenttype')
  if (contentType && /^application\/cloudevents\+json *(?:;|$)/i.test(contentType)) {
    const text = event.value && utf8(event.value)
    const parsed = text ? parseContainer(text) : undefined
    if (text && isCloudEvent(parsed) && isShallow(text)) return hideEnd(completed(text, parsed, event, opt))
  }
  const members: Members = new Map([['specversion', '"1.0"']])
  for (const [name, text] of defaults(event, opt)) if (name !== 'partitionkey') members.set(name, text)
  addHeaders(members, event)
  addData(members, event.value, contentType)
  for (const [name, text] of keyMember(event)) if (!members.has(name)) members.set(name, text)
  return hideEnd(`{${[...members].map(([name, text]) => `"${name}":${text}`).join(',')}}`)
}

/** The same JSON text with the missing members in front. Its bytes stay, so that no digit of a number is lost. */
function completed(text: string, event: CloudEvent, record: FlowEvent, opt: EventOptions): string {
  const missing = [...defaults(record, opt), ...keyMember(record)].filter(
    ([name]) => event[name] === undefined || event[name] === null,
  )
  const line = text.replace(/[\r\n\t]/g, ' ').trim()
  if (missing.length === 0) return line
  const added = missing.map(([name, json]) => `"${name}":${json}`).join(',')
  // A null in the text would come later than ours and win: then, and only then, the event is written anew.
  if (missing.some(([name]) => event[name] === null)) {
    const kept = Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null))
    return `{${added},${JSON.stringify(kept).slice(1)}`
  }
  return `{${added},${line.slice(1)}`
}

function defaults(event: FlowEvent, opt: EventOptions): [string, string][] {
  const id = opt.shard === undefined ? opt.cursor : `${opt.shard}:${opt.cursor}`
  const all: [string, string][] = [
    ['id', JSON.stringify(id)],
    ['source', JSON.stringify(`flow://${opt.flow}`)],
    ['type', JSON.stringify(DEFAULT_TYPE)],
  ]
  // -1 is "no time stamp", and what no calendar holds is left out.
  const { timestamp } = event
  if (timestamp >= 0 && timestamp <= 253_402_300_799_999) all.push(['time', JSON.stringify(formatTime(timestamp))])
  return all
}

function keyMember(event: FlowEvent): [string, string][] {
  if (event.key === null) return []
  const text = utf8(event.key)
  if (text !== null && isAttributeText(text)) return [['partitionkey', JSON.stringify(text)]]
  return [['partitionkeybase64', JSON.stringify(asBuffer(event.key).toString('base64'))]]
}

/** Attributes from `ce_` headers (binary mode), and other headers whose names an extension may have. */
function addHeaders(members: Members, event: FlowEvent): void {
  for (const [name, bytes] of event.headers) {
    const bound = /^ce_/i.test(name)
    const attribute = bound ? foldAscii(name.slice(3)) : name
    const text = utf8(bytes)
    if (text === null || !isAttributeName(attribute) || !isAttributeText(text)) continue
    if (attribute === 'specversion' || attribute === 'data' || attribute === 'datacontenttype') continue
    if (!bound && (isCoreAttribute(attribute) || members.has(attribute))) continue
    members.set(attribute, JSON.stringify(text))
  }
}

function addData(members: Members, value: Uint8Array | null, contentType: string | undefined): void {
  if (contentType !== undefined && isAttributeText(contentType)) {
    members.set('datacontenttype', JSON.stringify(contentType))
  }
  if (value === null) return
  const text = utf8(value)
  const type = contentType ?? guessType(text)
  if (contentType === undefined) members.set('datacontenttype', JSON.stringify(type))
  if (text !== null && isJsonType(type)) {
    const json = jsonText(text)
    if (json !== null) members.set('data', json)
    else members.set('data_base64', base64(value))
  } else if (text !== null && isTextType(type)) members.set('data', JSON.stringify(text))
  else members.set('data_base64', base64(value))
}

/** The type of data that came without one: what a person would read it as. */
function guessType(text: string | null): string {
  if (text === null || /[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(text)) return 'application/octet-stream'
  return parseContainer(text) === undefined ? 'text/plain' : 'application/json'
}

const mediaType = (type: string): string => type.split(';', 1)[0]!.trim().toLowerCase()

function isJsonType(type: string): boolean {
  const media = mediaType(type)
  return media === 'application/json' || media === 'text/json' || media.endsWith('+json')
}

function isTextType(type: string): boolean {
  const media = mediaType(type)
  const charset = /; *charset *= *"?([^";, ]*)/i.exec(type.slice(0, 256))?.[1]?.toLowerCase()
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'us-ascii') return false
  return media.startsWith('text/') || media === 'application/xml' || media.endsWith('+xml')
}

/** A JSON text on one line, with its own digits, or null. Between tokens a line end is a blank; inside strings none can be. */
function jsonText(text: string): string | null {
  if (!isShallow(text)) return null
  try {
    JSON.parse(text)
  } catch {
    return null
  }
  return text.replace(/[\r\n\t]/g, ' ').trim()
}

/** Deeper JSON goes out as base64: writing it anew, or reading it there, would take a stack that nobody has. */
const isShallow = (text: string): boolean => jsonDepth(text) <= LIMITS.jsonDepth

const base64 = (bytes: Uint8Array): string => JSON.stringify(asBuffer(bytes).toString('base64'))
const utf8 = (bytes: Uint8Array): string | null => (isUtf8(bytes) ? asBuffer(bytes).toString('utf8') : null)

function textHeader(event: FlowEvent, name: string): string | undefined {
  for (const [key, value] of event.headers) {
    if (key.length === name.length && key.toLowerCase() === name) return utf8(value) ?? undefined
  }
  return undefined
}
