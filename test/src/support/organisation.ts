import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Authority,
  Bind,
  bindUnavailable,
  type Host,
  Network,
  networkUnavailable,
  Unbound,
  unboundUnavailable,
} from '@fnaa/services'
import type { Test } from 'tap'
import { folder } from './agents.js'
import { type Fnua, fnua, startFnua } from './fnua.js'
import { ProcessAgent } from './process.js'

export const PORT = 61000
/** Why there can be no hosts with names of their own here. */
export const unavailable = networkUnavailable() ?? bindUnavailable() ?? unboundUnavailable() ?? false

export interface Founding {
  /** Beside `flows.<domain>`. */
  readonly namespaces?: readonly string[]
  /** The agent gets the zone's key too: it writes `_fnap`, addresses and delegations itself. */
  readonly zoneKey?: boolean
  /** The zone above does not know of this one yet. */
  readonly undelegated?: boolean
  /** What the config has beside. */
  readonly extra?: object
  /** The agent's own label; `fnaa` if absent. */
  readonly label?: string
}

/** What the operator of an organisation writes into its zone by hand; the agent writes the rest. */
const zone = (name: string, address: string, o: Founding) => ({
  name,
  records: o.zoneKey
    ? []
    : [
        `fnaa A ${address}`,
        ...[name, `flows.${name}`].flatMap(n => [
          `_fnap.${n}. TXT "v=FNAP1; d=${name}"`,
          `_fnap._tcp.${n}. SRV 0 0 ${PORT} fnaa.${name}.`,
          `_fnap._tcp.${n}. TXT "tls"`,
        ]),
      ],
})

/** NS, glue and DS of an organisation, in the zone of its parent. */
const delegation = (name: string, at: Bind) => [
  `update add ${name}. 300 NS ns.${name}.`,
  `update add ns.${name}. 300 A ${at.host}`,
  `update add ${name}. 300 DS ${at.ds(name)}`,
]

/** The config of an agent on a host of its own, as docs/guides/operate.md has it. */
function config(domain: string, place: Place, files: { data: string; tls: object }, o: Founding): string {
  const { host, bind } = place
  const keys = {
    keyFile: bind.keyFile(domain, 'agent'),
    ...(o.zoneKey ? { zoneKeyFile: bind.keyFile(domain, 'zone') } : {}),
  }
  const plugins = [
    ['store-lmdb', ''],
    ['auth-sasl', ''],
    ['auth-domainkey', ''],
    ['dns-bind', JSON.stringify({ server: `${bind.host}:53`, ...keys })],
    ['broker-embedded', ''],
    ['broker-fnap', ''],
    ['runtime-process', ''],
    ['processor-bridge', ''],
    ['processor-distributor', ''],
  ] as const
  const options = {
    host: `${o.label ?? 'fnaa'}.${domain}`,
    domains: [domain],
    listen: [`tls://${host.address}:${PORT}`],
    data: files.data,
    tls: files.tls,
    namespaces: [`flows.${domain}`, ...(o.namespaces ?? [])],
    administrators: [`test@${domain}`],
    resolver: { servers: ['127.0.0.1:53'], trustAd: true },
    // The switch stands for the internet: its addresses are private ones, which strangers may not name otherwise.
    network: { allow: ['10.53.0.0/24'] },
    ...o.extra,
  }
  const imports = plugins.map(([name], i) => `import p${i} from '@fnaa/${name}'`)
  const made = plugins.map(([, o], i) => `p${i}(${o})`)
  return `${imports.join('\n')}\nexport default { ...${JSON.stringify(options)}, plugins: [${made.join(', ')}] }\n`
}

interface Place {
  readonly host: Host
  readonly bind: Bind
  readonly resolver: Unbound
}

/** One organisation on one host: BIND on its address, Unbound on loopback, its agent, and a user who knows names only. */
export class Organisation {
  readonly domain: string
  readonly host: Host
  readonly bind: Bind
  readonly resolver: Unbound
  readonly agent: ProcessAgent
  readonly founding: Founding
  readonly #flowYml: string

  private constructor(domain: string, place: Place, agent: ProcessAgent, o: Founding, flowYml: string) {
    this.domain = domain
    this.host = place.host
    this.bind = place.bind
    this.resolver = place.resolver
    this.agent = agent
    this.founding = o
    this.#flowYml = flowYml
  }

  /** @param state what another agent has left */
  static async found(
    t: Test,
    domain: string,
    place: Place,
    authority: Authority,
    o: Founding,
    state?: string,
  ): Promise<Organisation> {
    const folders = await folder(t)
    const file = async (name: string, text: string) => {
      await writeFile(join(folders, name), text, { mode: 0o600 })
      return join(folders, name)
    }
    const name = `${o.label ?? 'fnaa'}.${domain}`
    const { cert, key } = authority.issue([name, domain])
    const ca = await file('ca.pem', authority.ca)
    const tls = { cert: await file('cert.pem', cert), key: await file('key.pem', key), ca }
    const data = join(folders, 'agent')
    await (state === undefined ? mkdir(data) : cp(state, data, { recursive: true }))
    const where = { domain, data, port: PORT, dnsPort: 53, ca, neighbours: {} }
    const text = config(domain, place, { data, tls }, o)
    const agent = await ProcessAgent[state === undefined ? 'on' : 'over'](t, place.host, where, text)
    const entry = `  - name: ours\n    fqdn: ${name}\n    username: test\n    password: test\n    ca: ${ca}\n    tls: implicit\n`
    const made = new Organisation(domain, place, agent, o, await file('flow.yml', `agents:\n${entry}`))
    if (state === undefined) await made.publish()
    await agent.start()
    return made
  }

  /** The operator puts into DNS what `fnaad key show` says must stand there. */
  async publish(): Promise<void> {
    const shown = await this.agent.operate(['key', 'show'])
    const records = shown.split('\n').filter(line => / IN TXT /.test(line))
    this.bind.update(
      this.domain,
      records.map(line => `update add ${line.replace(' IN ', ' ')}`),
    )
  }

  /** With its config, or with another for this life. */
  async restart(change: (text: string) => string = text => text): Promise<void> {
    await this.agent.kill()
    this.#written ??= await readFile(this.agent.config, 'utf8')
    await writeFile(this.agent.config, change(this.#written))
    await this.agent.start()
  }
  #written: string | undefined

  /** What a user types on this host. */
  async type(...words: string[]): Promise<string> {
    const ran = await fnua(['--config', this.#flowYml, ...words], { within: this.host.within })
    if (ran.code !== 0) throw new Error(`fnua ${words.join(' ')}: ${ran.stderr}`)
    return ran.stdout
  }
  /** Types it again until it says so. */
  async until(pattern: RegExp, ...words: string[]): Promise<void> {
    const end = Date.now() + 60_000
    for (let said = ''; !pattern.test(said); said = await this.type(...words))
      if (Date.now() > end) throw new Error(`fnua ${words.join(' ')} does not say ${pattern}: ${said}`)
  }
  async write(flow: string, ...lines: string[]): Promise<void> {
    const input = `${lines.join('\n')}\n`
    const ran = await fnua(['--config', this.#flowYml, 'write', flow], { within: this.host.within, input })
    if (ran.code !== 0) throw new Error(`fnua write: ${ran.stderr}`)
  }
  follow(t: Test, flow: string): Fnua {
    const words = ['--config', this.#flowYml, 'read', flow, '--from', 'earliest', '--follow']
    return startFnua(t, words, { within: this.host.within, input: '' })
  }
}

/** Hosts on one network, and in the middle of it the zone above all of theirs: `test`. */
export class Internet {
  readonly network: Network
  readonly registry: Bind
  readonly #t: Test
  readonly #authority = new Authority()
  readonly #negativeTtl: number | undefined

  private constructor(t: Test, network: Network, registry: Bind, negativeTtl?: number) {
    this.#negativeTtl = negativeTtl
    this.#t = t
    this.network = network
    this.registry = registry
  }

  /** Who signs the certificates of all agents, PEM. */
  get ca(): string {
    return this.#authority.ca
  }

  /** @param negativeTtl seconds that resolvers remember an absence at most */
  static async start(t: Test, negativeTtl?: number): Promise<Internet> {
    const network = await Network.start()
    t.teardown(() => network.stop())
    const { address, within } = network.middle
    const registry = await Bind.start({ zones: [{ name: 'test' }], address, port: 53, within })
    t.teardown(() => registry.stop())
    return new Internet(t, network, registry, negativeTtl)
  }

  /** An organisation on a host of its own, delegated by the zone in the middle. */
  async found(domain: string, o: Founding = {}): Promise<Organisation> {
    const host = await this.network.host()
    const zones = [zone(domain, host.address, o)]
    const bind = await Bind.start({ zones, address: host.address, port: 53, within: host.within })
    this.#t.teardown(() => bind.stop())
    if (!o.undelegated) this.registry.update('test', delegation(domain, bind))
    const resolver = await this.resolver(host)
    return Organisation.found(this.#t, domain, { host, bind, resolver }, this.#authority, o)
  }

  /** The state of an organisation's agent goes to another host, to an agent `fnaa2`; what stays behind says so. */
  async move(from: Organisation): Promise<Organisation> {
    await from.agent.kill('SIGTERM')
    const host = await this.network.host()
    const place = { host, bind: from.bind, resolver: await this.resolver(host) }
    const o = { ...from.founding, label: 'fnaa2' }
    const state = from.agent.where.data
    const made = await Organisation.found(this.#t, from.domain, place, this.#authority, o, state)
    await from.restart(text => text.replace('"listen":', `"moved":"fnaa2.${from.domain}:${PORT}","listen":`))
    return made
  }

  /** A validating resolver, which follows the referrals by itself: it is told of the top alone. */
  async resolver(host: Host): Promise<Unbound> {
    const { registry } = this
    const top = { anchors: { test: registry.ds('test') }, stubs: { test: `${registry.host}:53` } }
    const negative = this.#negativeTtl === undefined ? {} : { negativeTtl: this.#negativeTtl }
    const resolver = await Unbound.start({ ...top, ...negative, port: 53, within: host.within })
    this.#t.teardown(() => resolver.stop())
    return resolver
  }
}
