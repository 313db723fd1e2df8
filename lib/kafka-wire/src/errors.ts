import { type FnaCode, FnaError } from '@fnaa/core/plugin'

type Row = readonly [name: string, retry: boolean, fna: FnaCode]

/** Error codes of Kafka's protocol that a client meets (org.apache.kafka.common.protocol.Errors); the rest are `UNKNOWN`. */
const CODES: Readonly<Record<number, Row>> = {
  [-1]: ['UNKNOWN_SERVER_ERROR', false, 'FNA_ERR_UNAVAILABLE'],
  1: ['OFFSET_OUT_OF_RANGE', false, 'FNA_ERR_INVALID'],
  2: ['CORRUPT_MESSAGE', false, 'FNA_ERR_CORRUPT'],
  3: ['UNKNOWN_TOPIC_OR_PARTITION', true, 'FNA_ERR_NOTFOUND'],
  5: ['LEADER_NOT_AVAILABLE', true, 'FNA_ERR_UNAVAILABLE'],
  6: ['NOT_LEADER_OR_FOLLOWER', true, 'FNA_ERR_UNAVAILABLE'],
  7: ['REQUEST_TIMED_OUT', true, 'FNA_ERR_UNAVAILABLE'],
  8: ['BROKER_NOT_AVAILABLE', true, 'FNA_ERR_UNAVAILABLE'],
  9: ['REPLICA_NOT_AVAILABLE', true, 'FNA_ERR_UNAVAILABLE'],
  10: ['MESSAGE_TOO_LARGE', false, 'FNA_ERR_TOO_LARGE'],
  13: ['NETWORK_EXCEPTION', true, 'FNA_ERR_UNAVAILABLE'],
  14: ['COORDINATOR_LOAD_IN_PROGRESS', true, 'FNA_ERR_UNAVAILABLE'],
  15: ['COORDINATOR_NOT_AVAILABLE', true, 'FNA_ERR_UNAVAILABLE'],
  16: ['NOT_COORDINATOR', true, 'FNA_ERR_UNAVAILABLE'],
  17: ['INVALID_TOPIC_EXCEPTION', false, 'FNA_ERR_INVALID'],
  18: ['RECORD_LIST_TOO_LARGE', false, 'FNA_ERR_TOO_LARGE'],
  19: ['NOT_ENOUGH_REPLICAS', true, 'FNA_ERR_UNAVAILABLE'],
  20: ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', true, 'FNA_ERR_UNAVAILABLE'],
  22: ['ILLEGAL_GENERATION', false, 'FNA_ERR_FENCED'],
  24: ['INVALID_GROUP_ID', false, 'FNA_ERR_INVALID'],
  25: ['UNKNOWN_MEMBER_ID', false, 'FNA_ERR_FENCED'],
  29: ['TOPIC_AUTHORIZATION_FAILED', false, 'FNA_ERR_DENIED'],
  30: ['GROUP_AUTHORIZATION_FAILED', false, 'FNA_ERR_DENIED'],
  31: ['CLUSTER_AUTHORIZATION_FAILED', false, 'FNA_ERR_DENIED'],
  32: ['INVALID_TIMESTAMP', false, 'FNA_ERR_INVALID'],
  33: ['UNSUPPORTED_SASL_MECHANISM', false, 'FNA_ERR_UNSUPPORTED'],
  34: ['ILLEGAL_SASL_STATE', false, 'FNA_ERR_UNSUPPORTED'],
  35: ['UNSUPPORTED_VERSION', false, 'FNA_ERR_UNSUPPORTED'],
  36: ['TOPIC_ALREADY_EXISTS', false, 'FNA_ERR_EXISTS'],
  37: ['INVALID_PARTITIONS', false, 'FNA_ERR_INVALID'],
  38: ['INVALID_REPLICATION_FACTOR', false, 'FNA_ERR_INVALID'],
  40: ['INVALID_CONFIG', false, 'FNA_ERR_INVALID'],
  41: ['NOT_CONTROLLER', true, 'FNA_ERR_UNAVAILABLE'],
  42: ['INVALID_REQUEST', false, 'FNA_ERR_INVALID'],
  43: ['UNSUPPORTED_FOR_MESSAGE_FORMAT', false, 'FNA_ERR_UNSUPPORTED'],
  44: ['POLICY_VIOLATION', false, 'FNA_ERR_DENIED'],
  45: ['OUT_OF_ORDER_SEQUENCE_NUMBER', false, 'FNA_ERR_UNAVAILABLE'],
  46: ['DUPLICATE_SEQUENCE_NUMBER', false, 'FNA_ERR_UNAVAILABLE'],
  47: ['INVALID_PRODUCER_EPOCH', false, 'FNA_ERR_FENCED'],
  48: ['INVALID_TXN_STATE', false, 'FNA_ERR_UNAVAILABLE'],
  49: ['INVALID_PRODUCER_ID_MAPPING', false, 'FNA_ERR_FENCED'],
  51: ['CONCURRENT_TRANSACTIONS', true, 'FNA_ERR_UNAVAILABLE'],
  53: ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', false, 'FNA_ERR_DENIED'],
  54: ['SECURITY_DISABLED', false, 'FNA_ERR_UNSUPPORTED'],
  56: ['KAFKA_STORAGE_ERROR', true, 'FNA_ERR_UNAVAILABLE'],
  58: ['SASL_AUTHENTICATION_FAILED', false, 'FNA_ERR_DENIED'],
  59: ['UNKNOWN_PRODUCER_ID', false, 'FNA_ERR_UNAVAILABLE'],
  69: ['GROUP_ID_NOT_FOUND', false, 'FNA_ERR_NOTFOUND'],
  72: ['LISTENER_NOT_FOUND', true, 'FNA_ERR_UNAVAILABLE'],
  74: ['FENCED_LEADER_EPOCH', true, 'FNA_ERR_UNAVAILABLE'],
  75: ['UNKNOWN_LEADER_EPOCH', true, 'FNA_ERR_UNAVAILABLE'],
  76: ['UNSUPPORTED_COMPRESSION_TYPE', false, 'FNA_ERR_UNSUPPORTED'],
  // A leader that has just begun does not know yet how far its topic was committed (KIP-207).
  78: ['OFFSET_NOT_AVAILABLE', true, 'FNA_ERR_UNAVAILABLE'],
  87: ['INVALID_RECORD', false, 'FNA_ERR_CORRUPT'],
  88: ['UNSTABLE_OFFSET_COMMIT', true, 'FNA_ERR_UNAVAILABLE'],
  89: ['THROTTLING_QUOTA_EXCEEDED', true, 'FNA_ERR_UNAVAILABLE'],
  90: ['PRODUCER_FENCED', false, 'FNA_ERR_FENCED'],
  91: ['RESOURCE_NOT_FOUND', false, 'FNA_ERR_NOTFOUND'],
  92: ['DUPLICATE_RESOURCE', false, 'FNA_ERR_EXISTS'],
  93: ['UNACCEPTABLE_CREDENTIAL', false, 'FNA_ERR_INVALID'],
  100: ['UNKNOWN_TOPIC_ID', true, 'FNA_ERR_NOTFOUND'],
  103: ['INCONSISTENT_TOPIC_ID', true, 'FNA_ERR_NOTFOUND'],
}

/** Faults of ours, beside those that a broker answers. */
const LOCAL = {
  INVALID_RESPONSE: ['INVALID_RESPONSE', false, 'FNA_ERR_UNAVAILABLE'],
  UNSUPPORTED: ['UNSUPPORTED', false, 'FNA_ERR_UNSUPPORTED'],
} as const satisfies Record<string, Row>

/** What a broker refused, by its name. It is an FNA_ERR_ as well, so that the kernel knows what to say. */
export class KafkaError extends FnaError {
  /** Kafka's own name for it. */
  readonly kafka: string
  /** The same request may succeed later, perhaps at another broker. */
  readonly retry: boolean

  constructor(code: number | keyof typeof LOCAL, message: string, cause?: unknown) {
    const row: Row =
      typeof code === 'number' ? (CODES[code] ?? [`UNKNOWN_${code}`, false, 'FNA_ERR_UNAVAILABLE']) : LOCAL[code]
    super(row[2], `${message} (${row[0]})`, { cause })
    this.kafka = row[0]
    this.retry = row[1]
  }
}

/** What a broker said in words, as far as it can be shown: printable, and no more than `most` characters. */
export const said = (text: string, most = 200): string => text.slice(0, most).replace(/[^\x20-\x7e]+/g, ' ')

/** @throws KafkaError for anything but 0 */
export function expectOk(code: number, what: string, text?: string | null): void {
  if (code !== 0) throw new KafkaError(code, text ? `${what}: ${said(text)}` : what)
}

/** Kafka's name for what went wrong, where it is one of its own errors. */
export const kafkaCode = (e: unknown): string | undefined => (e instanceof KafkaError ? e.kafka : undefined)
