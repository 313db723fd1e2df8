import { readFileSync } from 'node:fs'
import { type Credential, FnaError } from '@fnaa/core/plugin'
import type { Sasl } from '@fnaa/kafka-wire'

/** A secret, or where it is kept: the name of an environment variable, the path of a file. */
export type Secret = string | { readonly env: string } | { readonly file: string }

export type PasswordMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512'
export type SaslOptions =
  | { readonly mechanism: PasswordMechanism; readonly username: string; readonly password: Secret }
  | {
      readonly mechanism: 'oauthbearer'
      /** Asked for a token at each login. */
      readonly token: () => Promise<string> | string
    }

export interface KafkaOptions {
  /** `host:port` of some of the cluster's brokers, as others reach them too. Absent: no cluster here, the driver for those of others. */
  readonly servers?: readonly string[]
  /** TLS, by the system's roots; an object for a CA of one's own, or for certificates that bear another name. */
  readonly tls?: boolean | { readonly ca?: string; readonly caFile?: string; readonly servername?: string }
  /** As whom the agent makes topics and lets others in. */
  readonly sasl?: SaslOptions
  /** As whom events are read and written; absent, as `sasl` says. */
  readonly data?: { readonly mechanism?: PasswordMechanism; readonly username: string; readonly password: Secret }
  /** Copies of each new topic; the cluster's own default if absent. */
  readonly replication?: number
  /** What new topics get where their flow says nothing; the cluster's own defaults if absent. */
  readonly defaults?: { readonly shards?: number; readonly retentionMs?: number }
  /** `none`: nobody is let in at the cluster itself, even where it could be. */
  readonly access?: 'issued' | 'none'
}

const text = (description: string) => ({ type: 'string', minLength: 1, description })
const integer = (minimum: number, maximum: number, description: string) => ({
  type: 'integer',
  minimum,
  maximum,
  description,
})
const where = (key: string, description: string) => ({
  type: 'object',
  additionalProperties: false,
  required: [key],
  properties: { [key]: text(description) },
})
const secret = {
  description: 'The password, or { env: NAME } or { file: PATH }.',
  anyOf: [
    text('The password.'),
    where('env', 'The environment variable that holds it.'),
    where('file', 'The file that holds it.'),
  ],
}
const mechanism = { enum: ['plain', 'scram-sha-256', 'scram-sha-512'] }
const login = (more: object, required: readonly string[]) => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties: { mechanism: more, username: text('Who logs in.'), password: secret },
})

export const OPTIONS_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  dependentRequired: Object.fromEntries(
    ['tls', 'sasl', 'data', 'replication', 'defaults', 'access'].map(option => [option, ['servers']]),
  ),
  properties: {
    servers: {
      type: 'array',
      minItems: 1,
      description: 'Brokers of the cluster, as host:port.',
      items: {
        type: 'string',
        pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^\\s:/\\[\\]]+):[0-9]{1,5}$',
        description: 'host:port',
        examples: ['kafka-1.example.org:9092'],
      },
    },
    tls: {
      description: 'true, or { ca, caFile, servername }.',
      anyOf: [
        { type: 'boolean' },
        {
          type: 'object',
          additionalProperties: false,
          properties: {
            ca: text('PEM of the CA.'),
            caFile: text('Where the PEM of the CA is.'),
            servername: text('The name that the certificates bear.'),
          },
        },
      ],
    },
    sasl: {
      description: 'As whom the agent administers the cluster.',
      anyOf: [
        login(mechanism, ['mechanism', 'username', 'password']),
        {
          type: 'object',
          additionalProperties: false,
          required: ['mechanism', 'token'],
          properties: { mechanism: { const: 'oauthbearer' }, token: { description: 'A function that gives a token.' } },
        },
      ],
    },
    data: { ...login(mechanism, ['username', 'password']), description: 'As whom events are read and written.' },
    replication: integer(1, 32_767, 'Copies of each new topic.'),
    defaults: {
      type: 'object',
      additionalProperties: false,
      description: 'What new topics get.',
      properties: {
        shards: integer(1, 10_000, 'Partitions.'),
        retentionMs: integer(1, Number.MAX_SAFE_INTEGER, 'How long events are kept, in milliseconds.'),
      },
    },
    access: { enum: ['issued', 'none'], description: 'Whether others may get a user of their own at the cluster.' },
  },
} as const

/** The options with all secrets and files read. */
export interface Settings {
  readonly servers: readonly string[]
  readonly tls: { readonly ca?: string; readonly servername?: string } | null
  readonly sasl: Sasl | null
  readonly data: Credential | null
  readonly replication: number
  readonly shards: number
  readonly retentionMs?: number
  readonly access: 'issued' | 'none'
}

/** Kafka's word for the cluster's own default. */
const DEFAULT = -1

/** @throws FNA_ERR_CONFIG that names the option, and what is missing */
export function settings(o: KafkaOptions & Required<Pick<KafkaOptions, 'servers'>>): Settings {
  const sasl = o.sasl ? saslOf(o.sasl) : null
  return {
    servers: o.servers,
    tls: tlsOf(o.tls),
    sasl,
    data: dataOf(o, sasl),
    replication: o.replication ?? DEFAULT,
    shards: o.defaults?.shards ?? DEFAULT,
    ...(o.defaults?.retentionMs !== undefined && { retentionMs: o.defaults.retentionMs }),
    access: o.access ?? 'issued',
  }
}

function tlsOf(tls: KafkaOptions['tls']): Settings['tls'] {
  if (!tls) return null
  if (tls === true) return {}
  const ca = tls.caFile === undefined ? tls.ca : contents('tls.caFile', tls.caFile)
  return { ...(ca !== undefined && { ca }), ...(tls.servername !== undefined && { servername: tls.servername }) }
}

const kafkaName = (m: PasswordMechanism) => m.toUpperCase() as 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

function saslOf(o: SaslOptions): Sasl {
  if (o.mechanism === 'oauthbearer') {
    if (typeof o.token !== 'function') throw wrong('sasl.token', 'is no function: give one that returns a token')
    return { mechanism: 'OAUTHBEARER', token: async () => o.token() }
  }
  return {
    mechanism: kafkaName(o.mechanism),
    username: o.username,
    password: reveal('sasl.password', o.password),
  }
}

/** What the processors log in with. A token is no credential that one could hand on: it ends while they run. */
function dataOf(o: KafkaOptions, sasl: Sasl | null): Credential | null {
  if (o.data) {
    const as = o.sasl && o.sasl.mechanism !== 'oauthbearer' ? o.sasl.mechanism : 'scram-sha-256'
    const password = reveal('data.password', o.data.password)
    return { mechanism: kafkaName(o.data.mechanism ?? as), values: { user: o.data.username, password } }
  }
  if (!sasl) return null
  if (sasl.mechanism === 'OAUTHBEARER')
    throw wrong(
      'data',
      'is missing: with sasl.mechanism oauthbearer, name the user by which events are read and written',
    )
  return { mechanism: sasl.mechanism, values: { user: sasl.username, password: sasl.password } }
}

function reveal(option: string, s: Secret): string {
  if (typeof s === 'string') return s
  if ('file' in s) return contents(option, s.file).replace(/\r?\n$/, '')
  const value = process.env[s.env]
  if (value === undefined || value === '')
    throw wrong(option, `needs the environment variable ${s.env}, which is not set`)
  return value
}

function contents(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (e) {
    throw wrong(option, `names a file that cannot be read: ${(e as Error).message}`)
  }
}

export const wrong = (option: string, why: string, cause?: unknown) =>
  new FnaError('FNA_ERR_CONFIG', `broker-kafka: ${option} ${why}`, { cause })
