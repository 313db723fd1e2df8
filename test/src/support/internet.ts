import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuthService, Config } from '@fnaa/core'
import { Authority, Bind, bindUnavailable, Unbound, unboundUnavailable } from '@fnaa/services'
import { folder, freePort, type StartOptions, type Teardown, TestAgent } from './agents.js'

/** Why there can be no real names here; false where there can. */
export const unavailable = bindUnavailable() ?? unboundUnavailable() ?? false
const { default: dnsBind } = (await import(`${'@fnaa/dns-bind'}`)) as typeof import('@fnaa/dns-bind')

export type Side = 'a' | 'b'
export const DOMAIN = { a: 'unix.test', b: 'emiliano.test' } as const

/** What an organisation's operator writes by hand. */
const zone = (name: string, agent: number, signed: boolean) => ({
  name,
  signed,
  records: [
    'fnaa A 127.0.0.1',
    ...[name, `flows.${name}`].flatMap(n => [
      `_fnap.${n}. TXT "v=FNAP1; d=${name}"`,
      `_fnap._tcp.${n}. SRV 0 0 ${agent} fnaa.${name}.`,
    ]),
  ],
})

const delegated = (name: string, at: Bind, signed: boolean) => [
  `${name}. NS ns.${name}.`,
  `ns.${name}. A ${at.host}`,
  ...(signed ? [`${name}. DS ${at.ds(name)}`] : []),
]

/** BIND and Unbound on loopback: a signed parent, a zone of each of two organisations, a resolver that validates from the parent's key. */
export class Internet {
  readonly a: Bind
  readonly b: Bind
  readonly registry: Bind
  readonly resolver: Unbound
  readonly port: Readonly<Record<Side, number>>
  /** The CA that everybody knows. */
  readonly authority = new Authority()
  readonly #directory: string

  private constructor(parts: Pick<Internet, 'a' | 'b' | 'registry' | 'resolver' | 'port'>, directory: string) {
    this.a = parts.a
    this.b = parts.b
    this.registry = parts.registry
    this.resolver = parts.resolver
    this.port = parts.port
    this.#directory = directory
  }

  /** @param unsigned organisations whose zones are not signed, and have no DS at the parent */
  static async start(t: Teardown, unsigned: readonly Side[] = []): Promise<Internet> {
    const signed = (side: Side) => !unsigned.includes(side)
    const port = { a: await freePort(), b: await freePort() }
    const [a, b] = await Promise.all([
      Bind.start({ zones: [zone(DOMAIN.a, port.a, signed('a'))] }),
      Bind.start({ zones: [zone(DOMAIN.b, port.b, signed('b'))] }),
    ])
    const records = [...delegated(DOMAIN.a, a, signed('a')), ...delegated(DOMAIN.b, b, signed('b'))]
    const registry = await Bind.start({ zones: [{ name: 'test', records }] })
    const at = (bind: Bind) => `${bind.host}:${bind.port}`
    const resolver = await Unbound.start({
      anchors: { test: registry.ds('test') },
      stubs: { test: at(registry), [DOMAIN.a]: at(a), [DOMAIN.b]: at(b) },
    })
    t.teardown(() => Promise.all([resolver.stop(), registry.stop(), a.stop(), b.stop()]))
    const net = new Internet({ a, b, registry, resolver, port }, await folder(t))
    await writeFile(join(net.#directory, 'ca.pem'), net.authority.ca)
    return net
  }

  /** The CA's certificate, a file. */
  get ca(): string {
    return join(this.#directory, 'ca.pem')
  }

  /**
   * An agent whose names are in its organisation's BIND, with a certificate for its host and its domain. Its domain is
   * proved by DNSSEC, or by that certificate.
   */
  async agent(t: Teardown, side: Side, options: StartOptions & { names?: readonly string[] } = {}): Promise<TestAgent> {
    const domain = DOMAIN[side]
    const bind = this[side]
    const data = await folder(t)
    const { cert, key } = this.authority.issue(options.names ?? [`fnaa.${domain}`, domain], ['127.0.0.1'])
    const file = async (name: string, text: string) => {
      await writeFile(join(data, name), text, { mode: 0o600 })
      return join(data, name)
    }
    const tls = { cert: await file('cert.pem', cert), key: await file('key.pem', key), ca: this.ca }
    const where = {
      domain,
      data: join(data, domain),
      port: this.port[side],
      dnsPort: await freePort(),
      ca: join(data, 'ca'),
      neighbours: {},
    }
    const names = dnsBind({
      server: `${bind.host}:${bind.port}`,
      keyFile: bind.keyFile(domain, 'agent'),
      timeoutMs: 1000,
    })
    const change = (config: Config): Config => {
      const real: Config = {
        ...config,
        tls,
        resolver: { servers: [`${this.resolver.host}:${this.resolver.port}`], trustAd: true },
        trust: { ca: this.ca },
        plugins: [...config.plugins.filter(p => p && 'manifest' in p && p.manifest.kind !== 'dns'), names],
      }
      return options.change?.(real) ?? real
    }
    const agent = await new TestAgent(where, { ...options, change }).start()
    t.teardown(() => agent.close())
    await this.publish(agent, side)
    return agent
  }

  /** What the operator does with what `fnaad key show` prints: it stands in DNS afterwards, and everybody sees it. */
  async publish(agent: TestAgent, side: Side): Promise<void> {
    const sets = await keysOf(agent).records({ signal: AbortSignal.timeout(5000) })
    const lines = sets.flatMap(({ owner, records }) => [
      `update delete ${owner}. TXT`,
      ...records.flatMap(r => (r.type === 'TXT' ? [`update add ${owner}. ${r.ttl} TXT "${r.strings.join('')}"`] : [])),
    ])
    this.write(side, ...lines)
  }

  /** Lines for nsupdate with the administrator's key; the resolver forgets what it had of the zone. */
  write(side: Side, ...lines: string[]): void {
    this[side].update(DOMAIN[side], lines)
    this.resolver.flush(DOMAIN[side])
  }
}

/** The service that proves an agent's domain. */
export const keysOf = (agent: TestAgent): AuthService =>
  agent.kernel.loaded.find(l => l.plugin.manifest.name === '@fnaa/auth-domainkey')!.service as AuthService

/** What its operator types: `fnaad key rotate`. */
export const operate = (agent: TestAgent, name: string, ...args: string[]): Promise<readonly string[]> =>
  keysOf(agent)
    .admin.find(a => a.name === name)!
    .run(args, {}, { signal: AbortSignal.timeout(10_000) })
