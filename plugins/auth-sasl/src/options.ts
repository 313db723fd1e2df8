import { MIN_ITERATIONS } from '@fnaa/client'

export const MECHANISMS = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN', 'ANONYMOUS'] as const
export type MechanismName = (typeof MECHANISMS)[number]

export interface SaslOptions {
  /** Which of the mechanisms are on; all of them if absent, ANONYMOUS by `anonymous` alone. */
  readonly mechanisms?: readonly Exclude<MechanismName, 'ANONYMOUS'>[]
  /** Rounds of PBKDF2 for passwords set from now on; 210,000 if absent, 4,096 at least (RFC 7677 §4). */
  readonly iterations?: number
  /** Lets strangers log in without an account, for public flows. Off if absent. */
  readonly anonymous?: boolean
  /** Allows PLAIN without TLS where both ends of the socket are on this host, as the thesis's telnet session does. */
  readonly plainInClear?: 'loopback'
}

export const DEFAULT_ITERATIONS = 210_000

/** JSON Schema (2020-12) of the options. */
export const OPTIONS_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  properties: {
    mechanisms: {
      type: 'array',
      uniqueItems: true,
      items: { enum: MECHANISMS.filter(name => name !== 'ANONYMOUS') },
      description: 'mechanisms that are on; all if absent',
    },
    iterations: { type: 'integer', minimum: MIN_ITERATIONS, maximum: 5_000_000, description: 'rounds of PBKDF2' },
    anonymous: { type: 'boolean', description: 'offer ANONYMOUS' },
    plainInClear: { const: 'loopback', description: 'PLAIN without TLS on loopback sockets' },
  },
} as const

/** The mechanisms that these options turn on, in the order of preference. */
export function mechanismsOf(o: SaslOptions): MechanismName[] {
  const on = new Set<MechanismName>(o.mechanisms ?? MECHANISMS)
  if (o.anonymous) on.add('ANONYMOUS')
  else on.delete('ANONYMOUS')
  return MECHANISMS.filter(name => on.has(name))
}
