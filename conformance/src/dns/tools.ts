import assert from 'node:assert/strict'
import type { Call, OwnerSet } from '@fnaa/core/plugin'
import type { DnsRecord } from '@fnaa/protocol'
import { call, type Harness } from '../harness.js'
import type { Case } from '../suite.js'
import { type AskType, ask, type Said } from './ask.js'

/** The harness of a DNS plugin, with what the cases share. */
export interface DnsHarness extends Harness<'dns'> {
  readonly c: Call
  /** A name in the first zone. */
  name(labels: string): string
  /** Asks the plugin's server, as anybody would. */
  ask(name: string, type: AskType): Promise<Said>
  apply(...changes: OwnerSet[]): Promise<string>
  /** Asserts that neither `read` nor the server knows a name. */
  absent(name: string): Promise<void>
}
export type DnsCase = Case<'dns', DnsHarness>

export function extendDns(h: Harness<'dns'>): DnsHarness {
  const c = call()
  const extra: Pick<DnsHarness, 'c' | 'name' | 'ask' | 'apply' | 'absent'> = {
    c,
    name: labels => `${labels}.${h.service.zones[0]}`,
    ask: (name, type) => ask(h.service.server, name, type),
    apply: async (...changes) => (await h.service.apply(changes, c)).generation,
    async absent(name) {
      assert.deepEqual(await h.service.read(name, c), [], `read knows ${name}`)
      assert.deepEqual((await extra.ask(name, 'SRV')).answers, [], `the server knows ${name}`)
    },
  }
  return Object.defineProperties(extra, Object.getOwnPropertyDescriptors(h)) as DnsHarness
}

export const TTL = 300
const TARGET = 'fnaa.unix.test'

export const srv = (name: string, port = 61_000, target = TARGET): DnsRecord => ({
  name,
  ttl: TTL,
  type: 'SRV',
  priority: 0,
  weight: 0,
  port,
  target,
})
export const txt = (name: string, ...strings: string[]): DnsRecord => ({ name, ttl: TTL, type: 'TXT', strings })
export const ptr = (name: string, target: string): DnsRecord => ({ name, ttl: TTL, type: 'PTR', target })

/** The set of one SRV record. */
export const one = (owner: string, port?: number): OwnerSet => ({ owner, records: [srv(owner, port)] })

/** Records in an order that does not depend on the plugin's. */
export const sorted = (records: readonly DnsRecord[]): DnsRecord[] =>
  [...records].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))
