import { type FnaCode, FnaError, isFna } from '@fnaa/core/plugin'
import { KafkaError } from '@fnaa/kafka-wire'

/** What kafkajs throws, as far as we look at it. */
interface KafkaJsError extends Error {
  /** Kafka's name for the error, and its number, where a broker answered with one. */
  readonly type?: string
  readonly code?: number | string
  readonly errors?: readonly Error[]
}

/** What an operator can do about it, for what the administration of a cluster meets. */
const ADVICE: Readonly<Record<string, string>> = {
  TOPIC_AUTHORIZATION_FAILED:
    'give the user of sasl the right to it: CREATE, DESCRIBE, ALTER and DELETE, and their CONFIGS',
  CLUSTER_AUTHORIZATION_FAILED:
    'give the user of sasl CREATE (topics) and ALTER (users and their rights) on the cluster, or make the topic by hand and adopt it',
  GROUP_AUTHORIZATION_FAILED: 'give the user of sasl DESCRIBE on groups',
  INVALID_REPLICATION_FACTOR: 'set replication to no more than the cluster has brokers',
  INVALID_PARTITIONS: 'ask for at least one shard, and for no fewer than there are',
  INVALID_TOPIC_EXCEPTION:
    'Kafka takes no such name, or another topic differs from it in a dot or an underscore only: delete that one, or name the flow otherwise',
  INVALID_CONFIG: 'the cluster takes no such value: see retention and size of the flow, and defaults of broker-kafka',
  POLICY_VIOLATION: 'a policy of the cluster forbids it: see shards, replication and retention',
  UNSUPPORTED: 'the cluster has no such request, as managed ones often: change it where they are administered',
  SECURITY_DISABLED: 'the cluster has no authorizer: set access to none',
  UNSUPPORTED_SASL_MECHANISM: 'set sasl.mechanism to one that the listener offers',
  SASL_AUTHENTICATION_FAILED: 'see sasl: username and password, or the token',
}

/**
 * Any failure as one of the seam, with what was tried and what can be done.
 * @param what in the form of `topic orders.example.org cannot be made`
 */
export function mapped(e: unknown, what: string): FnaError {
  if (e instanceof KafkaError) return told(e.kafka, e.code, what, e)
  if (isFna(e)) return e
  const inner = innermost(e as KafkaJsError)
  if (typeof inner.code === 'number' && inner.type !== undefined) {
    const known = new KafkaError(inner.code, what)
    return told(inner.type, known.code, what, e)
  }
  if (inner.name === 'KafkaJSSASLAuthenticationError')
    return told('SASL_AUTHENTICATION_FAILED', 'FNA_ERR_DENIED', what, e)
  return new FnaError('FNA_ERR_UNAVAILABLE', `${what}: ${inner.message}`, { cause: e })
}

function told(kafka: string, code: FnaCode, what: string, cause: unknown): FnaError {
  const advice = ADVICE[kafka]
  return new FnaError(code, `${what}: ${kafka}${advice ? `; ${advice}` : ''}`, { cause })
}

/** kafkajs wraps what a broker said in what it did about it. */
export function innermost(e: KafkaJsError): KafkaJsError {
  if (e.errors?.[0]) return innermost(e.errors[0] as KafkaJsError)
  if (e.cause instanceof Error && e.type === undefined) return innermost(e.cause as KafkaJsError)
  return e
}

/** Kafka's own name for what went wrong, whichever client said it. */
export const kafkaName = (e: unknown): string | undefined =>
  e instanceof KafkaError ? e.kafka : innermost(e as KafkaJsError).type

/** Was it the login itself that was refused? */
export const isLoginRefused = (e: unknown): boolean =>
  kafkaName(e) === 'SASL_AUTHENTICATION_FAILED' ||
  innermost(e as KafkaJsError).name === 'KafkaJSSASLAuthenticationError'
