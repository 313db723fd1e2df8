import type { AddressGuard } from '../guard.js'
import type { Call } from '../types.js'
import type { Status } from '../walk.js'
import { type Mend, option } from './finding.js'
import type { Questions } from './questions.js'

/** What a look at an agent from outside stands on. */
export interface Plan {
  readonly questions: Questions
  readonly c: Call
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** The addresses that strangers' agents connect to. */
  readonly guard: AddressGuard
  /** What an address that they refuse comes to: a user (`warning`) may go there all the same, an agent does not. */
  readonly refused: 'warning' | 'broken'
  /** Where the agent should be, for whoever runs it: records are then given whole. */
  readonly agent?: { readonly host: string; readonly port: number; readonly addresses: readonly string[] }
  /** PEM of the CA that is trusted beside the system's. */
  readonly ca?: string
}

export interface FoundPlace {
  readonly host: string
  readonly port: number
  readonly addresses: readonly string[]
}
/** An agent, as names lead to it. */
export interface Found {
  readonly namespace: string
  readonly domain: string
  /** TLS from the first byte. */
  readonly tls: boolean
  readonly places: readonly FoundPlace[]
  /** The lowest of all answers. */
  readonly status: Status
}

/** Where another DNS server is named: what there is to say of it differs by who looks. */
export const otherServer = (plan: Plan): Mend =>
  plan.refused === 'broken'
    ? option("resolver: { servers: ['<address>:53'] }", 'the config of this agent, to ask another one')
    : option('--nameserver <address>', 'the command line, to ask another one')

/** What a record that is missing would say of the agent, as far as it is known. */
export function agentOf(plan: Plan, domain: string): { host: string; port: number; addresses: readonly string[] } {
  return plan.agent ?? { host: `fnaa.${domain}`, port: 61_000, addresses: ['<address of the agent>'] }
}
