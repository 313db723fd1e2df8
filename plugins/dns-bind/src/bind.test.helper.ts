import { MemoryKeyValue, testContext } from '@fnaa/conformance'
import type { Call, DnsService, OwnerSet } from '@fnaa/core/plugin'
import type { DnsRecord } from '@fnaa/protocol'
import { Bind, type BindOptions, bindUnavailable } from '@fnaa/services'
import type { Test } from 'tap'
import { type DnsBindOptions, dnsBind } from './index.js'

export const skip = bindUnavailable() ?? false
export const c: Call = { signal: new AbortController().signal }
export const ZONE = 'unix.test'

export const srv = (name: string, port: number): DnsRecord => ({
  name,
  ttl: 300,
  type: 'SRV',
  priority: 0,
  weight: 0,
  port,
  target: 'fnaa.unix.test',
})
export const set = (label: string, port: number): OwnerSet => ({
  owner: `${label}.${ZONE}`,
  records: [srv(`${label}.${ZONE}`, port)],
})
export const gone = (label: string): OwnerSet => ({ owner: `${label}.${ZONE}`, records: [] })

/** A server with the zone `unix.test`. */
export async function started(t: Test, opt: Partial<BindOptions> = {}): Promise<Bind> {
  const bind = await Bind.start({ zones: [{ name: ZONE }], ...opt })
  t.teardown(() => bind.stop())
  return bind
}

/** The plugin at a server, or at what stands before one. */
export async function plugin(
  t: Test,
  bind: Bind,
  opt: Partial<DnsBindOptions> & { state?: MemoryKeyValue } = {},
): Promise<DnsService> {
  const { state = new MemoryKeyValue(), ...options } = opt
  const own = { server: `${bind.host}:${bind.port}`, zones: [ZONE], keyFile: bind.keyFile(ZONE, 'agent'), ...options }
  const { keyFile, ...rest } = own
  const service = await dnsBind(own.key ? rest : { ...rest, keyFile }).setup(testContext([ZONE], state))
  t.teardown(() => service.close())
  return service
}

/** The ports of the SRV records at a name, as dig sees them. */
export const ports = (bind: Bind, label: string): number[] =>
  bind
    .dig('+short', 'SRV', `${label}.${ZONE}`)
    .split('\n')
    .filter(line => /^\d+ \d+ \d+ \S+$/.test(line))
    .map(line => Number(line.split(' ')[2]))
