import type { AuthService, Config } from '@fnaa/core'
import { Bind, type BindZone, Unbound, type UnboundOptions } from '@fnaa/services'
import { freePort, type Teardown, TestAgent } from './agents.js'

const { default: dnsBind } = (await import(`${'@fnaa/dns-bind'}`)) as typeof import('@fnaa/dns-bind')

/** A finding as fnua and fnaad print it in JSON. */
export interface Finding {
  readonly layer: string
  readonly check: string
  readonly state: string
  readonly text: string
  readonly view: string
  readonly mend: readonly { readonly kind: string; readonly text: string; readonly at: string }[]
}

/** A zone of the doctor's tests: what BIND takes, and what its parent says of it. */
export interface Patient extends Partial<BindZone> {
  readonly name: string
  /** `none`: the parent says nothing; `wrong`: it names a key that the zone does not have. `right` if absent. */
  readonly ds?: 'right' | 'wrong' | 'none'
  /** Served by another server than its parent, so that it is not found there without being delegated. */
  readonly apart?: true
  /** Its parent does not know of it. */
  readonly undelegated?: boolean
  /** The resolver is led to a port where no name server is. */
  readonly lame?: number
}

/** The names by which an agent is found: lines of a zone's file. */
export const names = (domain: string, port: number, more: { host?: string; namespace?: string } = {}): string[] => {
  const { host = `fnaa.${domain}`, namespace = `flows.${domain}` } = more
  return [
    ...(host.endsWith(domain) ? [`${host}. A 127.0.0.1`] : []),
    ...[domain, namespace].flatMap(n => [
      `_fnap.${n}. TXT "v=FNAP1; d=${domain}"`,
      `_fnap._tcp.${n}. SRV 0 0 ${port} ${host}.`,
    ]),
  ]
}

/** `test`, zones below it, all of one server, and a resolver that validates from the key of `test`. */
export class DoctorNet {
  readonly bind: Bind
  readonly #zones: readonly Patient[]
  resolver!: Unbound
  #t!: Teardown
  readonly #followed = new Set<string>()
  readonly #apart = new Map<string, Bind>()

  private constructor(bind: Bind, zones: readonly Patient[]) {
    this.bind = bind
    this.#zones = zones
  }

  static async start(t: Teardown, zones: readonly Patient[]): Promise<DoctorNet> {
    const bind = await Bind.start({ zones: [{ name: 'test' }, ...zones.filter(z => !z.apart)] })
    t.teardown(() => bind.stop())
    const net = new DoctorNet(bind, zones)
    for (const zone of zones.filter(z => z.apart)) {
      const apart = await Bind.start({ zones: [zone] })
      t.teardown(() => apart.stop())
      net.#apart.set(zone.name, apart)
    }
    for (const z of zones) if (!z.undelegated) net.delegate(z)
    net.resolver = await net.unbound(t)
    net.#t = t
    return net
  }

  /** The server of a zone. */
  serverOf(zone: string): Bind {
    return this.#apart.get(zone) ?? this.bind
  }

  /** NS and DS at the parent. */
  delegate({ name, ds, signed }: Patient): void {
    const signs = signed !== false && ds !== 'none'
    const digest = () => (ds === 'wrong' ? `1 13 2 ${'00'.repeat(32)}` : this.serverOf(name).ds(name))
    this.bind.update('test', [
      'zone test',
      `update add ${name}. 300 NS ns.${name}.`,
      `update add ns.${name}. 300 A ${this.bind.host}`,
      ...(signs ? [`update add ${name}. 300 DS ${digest()}`] : []),
    ])
  }

  /** Each zone that the resolver is led to, and its server. */
  get stubs(): Record<string, string> {
    const known = this.#zones.filter(z => !z.undelegated || this.#followed.has(z.name))
    const below = known.map(z => [z.name, `${this.bind.host}:${z.lame ?? this.serverOf(z.name).port}`])
    return Object.fromEntries([['test', `${this.bind.host}:${this.bind.port}`], ...below])
  }

  /** Another resolver of the same names. */
  async unbound(t: Teardown, more: Partial<UnboundOptions> = {}): Promise<Unbound> {
    const started = await Unbound.start({ anchors: { test: this.bind.ds('test') }, stubs: this.stubs, ...more })
    t.teardown(() => started.stop())
    return started
  }

  /** Another resolver at the same port, which knows where a zone is that has been delegated since. */
  async follow(zone: string): Promise<void> {
    const { port } = this.resolver
    await this.resolver.stop()
    this.#followed.add(zone)
    this.resolver = await this.unbound(this.#t, { port })
  }

  get nameserver(): string {
    return `${this.resolver.host}:${this.resolver.port}`
  }

  /** Does to a zone what was printed: lines of a zone file, those to be removed behind `; remove:`. */
  mend(zone: string, ...lines: string[]): void {
    const updates = lines.map(line => {
      const [, gone, text] = /^(; remove: )?(.*)$/.exec(line)!
      return `update ${gone ? 'delete' : 'add'} ${text!.replace(/^(\S+ \d+) IN /, '$1 ')}`
    })
    this.serverOf(zone).update(zone, [`zone ${zone}`, ...updates])
    this.forget()
  }

  /** The resolver asks anew. */
  forget(): void {
    this.resolver.flush('test')
  }
}

/** What an agent wants to have in DNS to prove its domains: `[domain, line]`. */
export async function keysOf(agent: TestAgent): Promise<{ owner: string; text: string }[]> {
  const services = agent.kernel.loaded.filter(l => l.plugin.manifest.kind === 'auth').map(l => l.service as AuthService)
  const sets = await Promise.all(services.map(s => s.records({ signal: AbortSignal.timeout(5000) })))
  return sets
    .flat()
    .flatMap(({ owner, records }) =>
      records.flatMap(r => (r.type === 'TXT' ? [{ owner, text: r.strings.map(s => `"${s}"`).join(' ') }] : [])),
    )
}

/** An agent whose own zone is in the net's BIND, and that asks the net's resolver. */
export async function doctorAgent(
  t: Teardown,
  net: DoctorNet,
  at: { readonly domain: string; readonly data: string; readonly port: number },
  change: (config: Config) => Config = config => config,
): Promise<TestAgent> {
  const { domain, data, port } = at
  const where = { domain, data: `${data}/${domain}`, port, dnsPort: await freePort(), ca: `${data}/ca`, neighbours: {} }
  const agent = new TestAgent(where, {
    change: config =>
      change({
        ...config,
        resolver: { servers: [net.nameserver], trustAd: true },
        trust: {},
        plugins: [
          ...config.plugins.filter(p => p && 'manifest' in p && p.manifest.kind !== 'dns'),
          dnsBind({
            server: `${net.bind.host}:${net.bind.port}`,
            zones: [domain],
            keyFile: net.bind.keyFile(domain, 'agent'),
          }),
        ],
      }),
  })
  t.teardown(() => agent.close())
  return agent.start()
}
