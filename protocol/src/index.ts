export * from './batch.js'
export * from './batch-decode.js'
export * from './batch-encode.js'
export {
  AT as BATCH_AT,
  type BatchHeader,
  CODECS,
  CONTROL,
  LOG_APPEND_TIME,
  MAX_TIMESTAMP,
  readBatchHeader,
  TRANSACTIONAL,
  timestampOf,
} from './batch-header.js'
export * from './capabilities.js'
export {
  type CloudEvent,
  checkCloudEvent,
  isCloudEvent,
  jsonDepth,
} from './cloudevent-check.js'
export { type LineOptions, lineToEvent, STRUCTURED } from './cloudevents.js'
export * from './codecs.js'
export * from './crc.js'
export * from './dns.js'
export * from './dns-records.js'
export * from './dns-text.js'
export * from './domainkey.js'
export * from './dots.js'
export * from './errors.js'
export * from './event-lines.js'
export * from './events.js'
export * from './frames.js'
export * from './grammar.js'
export * from './limits.js'
export * from './lines.js'
export * from './marker.js'
export * from './mask.js'
export * from './names.js'
export * from './replies.js'
export { type CommandFrom, type On, type RateLimit, RIGHTS, type Right } from './scalars.js'
export * from './serialize.js'
export * from './states.js'
export * from './time.js'
export * from './tokens.js'
export { formatValue, parseValue } from './value-types.js'
export * from './values.js'
export { VarintReader, varintSize, writeVarint } from './varint.js'
export * from './verb-forms.js'
export * from './verbs.js'
