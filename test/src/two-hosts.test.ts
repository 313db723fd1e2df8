import { mkdir, readFile, writeFile } from 'node:fs/promises'
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
import t, { type Test } from 'tap'
import { folder } from './support/agents.js'
import { type Fnua, fnua, startFnua } from './support/fnua.js'
import { ProcessAgent } from './support/process.js'

const skip = networkUnavailable() ?? bindUnavailable() ?? unboundUnavailable() ?? false
const PORT = 61000

/** What the operator of an organisation writes into its zone by hand; the agent writes the rest. */
const zone = (name: string, address: string) => ({
  name,
  records: [
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
  `${name}. NS ns.${name}.`,
  `ns.${name}. A ${at.host}`,
  `${name}. DS ${at.ds(name)}`,
]

/** The config of an agent on a host of its own, as docs/guides/operate.md has it. */
function config(domain: string, host: Host, files: { data: string; tls: object; key: string }): string {
  const plugins = [
    ['store-lmdb', ''],
    ['auth-sasl', ''],
    ['auth-domainkey', ''],
    ['dns-bind', JSON.stringify({ server: `${host.address}:53`, keyFile: files.key })],
    ['broker-embedded', ''],
    ['broker-fnap', ''],
    ['runtime-process', ''],
    ['processor-bridge', ''],
    ['processor-distributor', ''],
  ] as const
  const options = {
    host: `fnaa.${domain}`,
    domains: [domain],
    listen: [`tls://${host.address}:${PORT}`],
    data: files.data,
    tls: files.tls,
    namespaces: [`flows.${domain}`],
    administrators: [`test@${domain}`],
    resolver: { servers: ['127.0.0.1:53'], trustAd: true },
    // The switch stands for the internet: its addresses are private ones, which strangers may not name otherwise.
    network: { allow: ['10.53.0.0/24'] },
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
class Organisation {
  readonly domain: string
  readonly host: Host
  readonly bind: Bind
  readonly resolver: Unbound
  readonly agent: ProcessAgent
  readonly #flowYml: string

  private constructor(domain: string, place: Place, agent: ProcessAgent, flowYml: string) {
    this.domain = domain
    this.host = place.host
    this.bind = place.bind
    this.resolver = place.resolver
    this.agent = agent
    this.#flowYml = flowYml
  }

  static async found(t: Test, domain: string, place: Place, authority: Authority): Promise<Organisation> {
    const { host, bind } = place
    const data = await folder(t)
    const file = async (name: string, text: string) => {
      await writeFile(join(data, name), text, { mode: 0o600 })
      return join(data, name)
    }
    const { cert, key } = authority.issue([`fnaa.${domain}`, domain])
    const ca = await file('ca.pem', authority.ca)
    const tls = { cert: await file('cert.pem', cert), key: await file('key.pem', key), ca }
    const state = join(data, 'agent')
    await mkdir(state)
    const where = { domain, data: state, port: PORT, dnsPort: 53, ca, neighbours: {} }
    const text = config(domain, host, { data: state, tls, key: bind.keyFile(domain, 'agent') })
    const agent = await ProcessAgent.on(t, host, where, text)
    const entry = `  - name: ours\n    fqdn: fnaa.${domain}\n    username: test\n    password: test\n    ca: ${ca}\n    tls: implicit\n`
    const made = new Organisation(domain, place, agent, await file('flow.yml', `agents:\n${entry}`))
    await made.publish()
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

/** Two organisations, and the parent of their zones between them. */
async function internet(t: Test) {
  const network = await Network.start()
  t.teardown(() => network.stop())
  const serve = async (host: Host, zones: Parameters<typeof Bind.start>[0]['zones']) => {
    const bind = await Bind.start({ zones, address: host.address, port: 53, within: host.within })
    t.teardown(() => bind.stop())
    return bind
  }
  const authority = new Authority()
  const [hostA, hostB] = [await network.host(), await network.host()]
  const bindA = await serve(hostA, [zone('unix.test', hostA.address)])
  const bindB = await serve(hostB, [zone('emiliano.test', hostB.address)])
  const records = [...delegation('unix.test', bindA), ...delegation('emiliano.test', bindB)]
  const registry = await serve(network.middle, [{ name: 'test', records }])
  const resolve = async (host: Host) => {
    // It follows the referrals by itself: it is told of the top alone.
    const top = { anchors: { test: registry.ds('test') }, stubs: { test: `${registry.host}:53` } }
    const resolver = await Unbound.start({ ...top, port: 53, within: host.within })
    t.teardown(() => resolver.stop())
    return resolver
  }
  const placeA = { host: hostA, bind: bindA, resolver: await resolve(hostA) }
  const placeB = { host: hostB, bind: bindB, resolver: await resolve(hostB) }
  const a = await Organisation.found(t, 'unix.test', placeA, authority)
  const b = await Organisation.found(t, 'emiliano.test', placeB, authority)
  return { a, b }
}

t.test('two hosts with real names', { skip }, async t => {
  const { a, b } = await internet(t)
  const flow = 'time.flows.unix.test'
  const local = 'time.flows.emiliano.test'

  await t.test('a user of one subscribes to a flow of the other by its name alone, and events arrive', async t => {
    await a.type('create', 'flow', flow, '--visibility', 'public')
    await b.type('subscribe', flow, '--local', local)
    await a.write(flow, 'one', 'two')
    const reader = b.follow(t, local)
    await reader.until(/one[\s\S]*two/)
    t.match(await b.type('describe', 'peer', 'unix.test'), /dnssec/, 'each has seen a signed key of the other')
    t.match(await a.type('describe', 'peer', 'emiliano.test'), /dnssec/)
  })

  await t.test('the flow is found from the other host by referral from the top, signed', async t => {
    const said = b.resolver.dig('+adflag', 'PTR', flow)
    t.match(said, /flags: [a-z ]*\bad\b/)
    t.match(said, `_flow._tcp.${flow}.`)
    t.match(b.resolver.dig('+short', 'SRV', '_fnap._tcp.flows.unix.test'), `${PORT} fnaa.unix.test.`)
  })

  await t.test('the link is cut: it is said, and it goes on when the link is back', async t => {
    const reader = b.follow(t, local)
    b.host.cut()
    await a.write(flow, 'three')
    await b.until(/FNA_ERR_TIMEOUT|FNA_ERR_UNAVAILABLE/, 'get', 'subscriptions')
    t.notMatch(reader.stdout, /three/)
    await a.write(flow, 'four')
    b.host.heal()
    await reader.until(/one[\s\S]*two[\s\S]*three[\s\S]*four/)
    await b.until(new RegExp(`${local}.*active(?!.*FNA_ERR)`), 'get', 'subscriptions')
  })

  await t.test("packets that vanish for a moment are nobody's business", async t => {
    const reader = b.follow(t, local)
    await reader.until(/four/)
    a.host.cut()
    await a.write(flow, 'five')
    a.host.heal()
    await reader.until(/five/)
    t.notMatch(await b.type('get', 'subscriptions'), /FNA_ERR/)
  })

  await t.test('where private addresses are not allowed, a name that leads to one leads nowhere', async t => {
    await b.restart(text => text.replace('"allow":["10.53.0.0/24"]', '"allow":[]'))
    await t.rejects(b.type('describe', 'flow', flow), /address that may not be used/)
    await b.restart()
    t.match(await b.type('describe', 'flow', flow), flow)
  })
})
