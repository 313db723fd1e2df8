import { execFile } from 'node:child_process'
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import broker, { type KafkaOptions } from '@fnaa/broker-kafka'
import type { Config } from '@fnaa/core'
import { BATCH_AT, crc32c } from '@fnaa/protocol'
import { certificates, freePort, type Kafka, startKafka, unavailable } from '@fnaa/services'
import { type Admin, Kafka as Client, logLevel } from 'kafkajs'
import t, { type Test } from 'tap'
import { folder, places, type Client as Session, TestAgent, type Where } from './support/agents.js'
import { childrenOf } from './support/process.js'

// What a running mover meets at brokers that refuse, fail or are away: it says so by name, waits longer each time, and afterwards goes
// on with nothing lost.
const run = promisify(execFile)
const skip = unavailable() ?? false
/** A small disk is root's to mount; CI is. */
const small = process.getuid?.() === 0 || process.env['CI'] !== undefined
const FLOW = 'all.flows.unix.test'
const LOCAL = 'all.flows.emiliano.test'
/** Milliseconds that a cluster is away: a minute; `npm run test:kill` takes ten. */
const AWAY_MS = Number(process.env['FNAAD_AWAY_MS'] ?? 60_000)
/** The other one, after it: a moment, where it is not ten minutes too. */
const SOURCE_AWAY_MS = Number(process.env['FNAAD_AWAY_MS'] ?? 2000)
t.setTimeout(280_000 + 3 * AWAY_MS)

/** What may stand in a log that its broker does not look at, and what is said of it. */
const DAMAGES: Record<string, { damage: (batch: Buffer) => void; says: RegExp }> = {
  'with a bit that was turned': {
    damage: batch => (batch[68]! ^= 1),
    says: /^FNA_ERR_CORRUPT .*partition 0/,
  },
  'in a codec that nobody knows': {
    damage: batch => {
      batch.writeUInt16BE(batch.readUInt16BE(BATCH_AT.attributes) | 5, BATCH_AT.attributes)
      batch.writeUInt32BE(crc32c(batch.subarray(BATCH_AT.attributes)), BATCH_AT.crc)
    },
    says: /^FNA_ERR_(UNSUPPORTED|CORRUPT) .*codec/,
  },
}

const adminOf = (k: Kafka): Admin =>
  new Client({ brokers: [...k.servers], logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 500 } }).admin()

class Scene {
  readonly source: Kafka
  readonly target: Kafka
  readonly disk: Disk
  b: TestAgent
  user: Session
  readonly #test: Test
  #written = 0
  #expected: string[] = []

  private constructor(t: Test, on: Pick<Scene, 'source' | 'target' | 'disk' | 'b' | 'user'>) {
    this.#test = t
    this.source = on.source
    this.target = on.target
    this.disk = on.disk
    this.b = on.b
    this.user = on.user
  }

  static async set(t: Test): Promise<Scene> {
    const disk = await Disk.mount(t)
    const settings = { 'log.dirs': disk.path, 'metadata.log.dir': join(await folder(t), 'metadata') }
    const started = [startKafka({ secure: true }), startKafka({ settings })]
    for (const k of started) t.teardown(async () => (await k.catch(() => null))?.stop())
    const [source, target] = (await Promise.all(started)) as [Kafka, Kafka]
    const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
    const sasl = { mechanism: 'scram-sha-256', ...source.admin! } as const
    const a = await agentAt(t, wa!, { servers: source.secureServers, tls: { ca: source.ca }, sasl })
    const b = await agentAt(t, wb!, { servers: target.servers })
    const [owner, user] = [await a.login(t), await b.login(t)]
    await owner.ok(`CREATE FLOW ${FLOW} BROKER broker-kafka VISIBILITY public`)
    await user.ok(`CREATE FLOW ${LOCAL} BROKER broker-kafka`)
    await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE direct FROM earliest`)
    return new Scene(t, { source, target, disk, b, user })
  }

  /** The subscriber's agent is started again, with its broker at other servers. */
  async restart(servers: readonly string[]): Promise<void> {
    await this.b.close()
    this.b = await agentAt(this.#test, this.b.where, { servers })
    this.user = await this.b.login(this.#test)
  }

  /** Writes events into the source, as somebody else's application does. */
  async write(count = 5, size = 0): Promise<void> {
    const producer = new Client({ brokers: [...this.source.servers], logLevel: logLevel.NOTHING }).producer()
    await producer.connect()
    const values = Array.from({ length: count }, () => `${this.#written++} ${'x'.repeat(size)}`)
    for (const value of values) await producer.send({ topic: FLOW, acks: -1, messages: [{ key: 'k', value }] })
    await producer.disconnect()
    this.#expected.push(...values)
  }
  /** Some of the last will never come, and that is told: `count` of them, from `from` on, counted from the end. */
  drop(from: number, count?: number): void {
    if (count === undefined) this.#expected.splice(from)
    else this.#expected.splice(from, count)
  }

  /** The subscription, as its user is shown it. */
  async shown(): Promise<Record<string, string>> {
    const line = (await this.user.ok('GET SUBSCRIPTIONS')).lines[0]!
    const fields = line.split(' ').map(word => /^([^=]+)=(.*)$/.exec(word)!)
    return Object.fromEntries(fields.map(([, k, v]) => [k!, decodeURIComponent(v!)]))
  }
  async until(is: (s: Record<string, string>) => boolean, ms = 60_000): Promise<Record<string, string>> {
    const end = Date.now() + ms
    for (;;) {
      const s = await this.shown()
      if (is(s)) return s
      if (Date.now() > end) throw new Error(`after ${ms} ms it shows ${JSON.stringify(s)}`)
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  /** Lets time pass; the user stays logged in. */
  async away(ms: number): Promise<void> {
    for (const end = Date.now() + ms; Date.now() < end; await this.user.ok('NOOP'))
      await new Promise(resolve => setTimeout(resolve, Math.min(60_000, end - Date.now())))
  }

  /** Its trouble has a name, in both lists. */
  async says(t: Test, error: RegExp, ms?: number): Promise<void> {
    const s = await this.until(s => error.test(s['error'] ?? ''), ms)
    t.match(s['phase'], /^(active|starting)$/, `${s['phase']}: ${s['error']}`)
    const [line] = (await this.user.ok('GET PROCESSORS')).lines
    t.match(line, / phase=(running|starting|failed) .* error=FNA_ERR_/)
  }

  /** It goes on by itself; all of it is there, in order. */
  async goesOn(t: Test, m = 'goes on, and nothing is lost'): Promise<void> {
    await this.write()
    await this.until(s => s['phase'] === 'active' && s['error'] === undefined && s['lag-events'] === '0', 120_000)
    t.same(await this.#arrived(), this.#expected, m)
  }

  /** What is there, each event once, when the last one is, or when time is over. What is shown of a run may be a second old. */
  async #arrived(): Promise<string[]> {
    const end = Date.now() + 30_000
    for (;;) {
      const there = [...new Set(((await this.user.read(LOCAL)) as unknown[]).map(String))]
      if (there.includes(this.#expected.at(-1)!) || Date.now() > end) return there
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  async killHost(): Promise<void> {
    for (const pid of await childrenOf(process.pid)) {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      if (command.includes('emiliano.test')) process.kill(pid, 'SIGKILL')
    }
  }
}

/** An agent with a Kafka of its own. */
async function agentAt(t: Test, where: Where, kafka: KafkaOptions): Promise<TestAgent> {
  const change = (o: Config): Config => ({ ...o, plugins: [...o.plugins, broker(kafka)] })
  const agent = await new TestAgent(where, { change }).start()
  t.teardown(() => agent.close())
  return agent
}

/** A disk of 96 MB that can be filled up; a folder, where none can be mounted. */
class Disk {
  readonly path: string
  private constructor(path: string) {
    this.path = path
  }

  static async mount(t: Test): Promise<Disk> {
    const path = await mkdtemp(join(tmpdir(), 'fnaad-disk-'))
    if (small) await run('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', path])
    t.teardown(async () => {
      if (small) await run('umount', ['-l', path])
      await rm(path, { recursive: true, force: true })
    })
    return new Disk(path)
  }

  async fill(): Promise<void> {
    const file = await open(join(this.path, 'ballast'), 'w')
    try {
      for (;;) await file.write(Buffer.alloc(4096))
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOSPC') throw e
    } finally {
      await file.close()
    }
  }
  empty(): Promise<void> {
    return rm(join(this.path, 'ballast'))
  }
}

t.test('a mover and brokers that refuse', { skip }, async t => {
  const scene = await Scene.set(t)
  const { source, target } = scene
  const [there, here] = [adminOf(source), adminOf(target)]
  await Promise.all([there.connect(), here.connect()])
  t.teardown(() => Promise.all([there.disconnect(), here.disconnect()]))
  const setting = async (admin: Admin, topic: string, name: string, value: string) => {
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: topic, configEntries: [{ name, value }] }],
    })
  }
  await scene.goesOn(t)

  await t.test('an event that is over the limit of the target', async t => {
    await setting(here, LOCAL, 'max.message.bytes', '1000')
    await scene.write(1)
    await scene.write(1, 2000)
    await scene.write(1)
    await scene.says(t, /^FNA_ERR_TOO_LARGE .*1000 bytes .*max\.message\.bytes/)
    await setting(here, LOCAL, 'max.message.bytes', '1000000')
    await scene.goesOn(t)
  })

  await t.test('the right to the topic is taken away at the cluster', async t => {
    const topic = { resourceType: 2, resourceName: FLOW, resourcePatternType: 3 }
    const { resources } = await there.describeAcls({ ...topic, operation: 1, permissionType: 1 })
    const acl = resources.flatMap(r => r.acls.map(a => ({ ...topic, ...a })))
    await there.deleteAcls({ filters: [{ ...topic, operation: 1, permissionType: 1 }] })
    await scene.says(t, /^FNA_ERR_DENIED .*TOPIC_AUTHORIZATION_FAILED/)
    await there.createAcls({ acl })
    await scene.goesOn(t)
  })

  await t.test('the login has another password at the cluster', async t => {
    const [s] = scene.b.kernel.resources.list('Subscription')
    const who = s!.status.endpoint!.reader!
    const more = ['--alter', '--entity-type', 'users', '--entity-name', who]
    const changed = await source.tool('kafka-configs', [...more, '--add-config', 'SCRAM-SHA-256=[password=other]'])
    t.equal(changed.code, 0, changed.stdout)
    await scene.killHost()
    await scene.says(t, /^FNA_ERR_DENIED .*SASL_AUTHENTICATION_FAILED/)
    await scene.user.ok(`UPDATE SUBSCRIPTION ${s!.name} ROTATE`)
    await scene.goesOn(t, 'with another login it goes on where the one before stood')
  })

  await t.test('certificates of another CA and of another name at the source', async t => {
    const file = join(source.directory, 'server.pem')
    const good = await readFile(file, 'utf8')
    const elsewhere = await readFile(join(source.directory, 'elsewhere.pem'), 'utf8')
    const restarted = async (pem: string) => {
      await source.node(1).kill('SIGTERM')
      await writeFile(file, pem)
      await source.node(1).start()
    }
    await restarted(certificates().server)
    await scene.says(t, /^FNA_ERR_DENIED .*certificate .*(SIGNATURE|SELF_SIGNED|ISSUER)/)
    await restarted(elsewhere)
    await scene.says(t, /^FNA_ERR_DENIED .*certificate .*(ALTNAME|name)/)
    await restarted(good)
    await scene.goesOn(t)
  })

  await t.test('a cluster that is away', async t => {
    await target.node(1).kill()
    await scene.write()
    await scene.says(t, /^FNA_ERR_UNAVAILABLE /)
    await scene.away(AWAY_MS)
    await target.node(1).start()
    await scene.goesOn(t, 'the target')
    await source.node(1).kill()
    await scene.says(t, /^FNA_ERR_UNAVAILABLE /)
    await scene.away(SOURCE_AWAY_MS)
    await source.node(1).start()
    await scene.goesOn(t, 'the source')
  })

  await t.test(
    'a disk that is full at the target',
    { skip: small ? false : 'only root may mount a small disk' },
    async t => {
      await scene.disk.fill()
      await scene.write(10, 5000)
      await scene.says(t, /^FNA_ERR_UNAVAILABLE /)
      await target.node(1).kill()
      await scene.disk.empty()
      await target.node(1).start()
      await scene.goesOn(t)
    },
  )

  await t.test('servers that are none in the config', async t => {
    await scene.restart([`127.0.0.1:${await freePort()}`])
    await scene.write()
    await scene.says(t, /^FNA_ERR_UNAVAILABLE /)
    await scene.restart(target.servers)
    await scene.goesOn(t)
  })

  for (const [what, { damage, says }] of Object.entries(DAMAGES))
    await t.test(`a batch ${what} in the log of the source`, async t => {
      const id = (await scene.shown())['subscription']!
      await scene.user.ok(`STOP SUBSCRIPTION ${id}`)
      await scene.write(3)
      const [{ offset }] = (await there.fetchTopicOffsets(FLOW)) as unknown as [{ offset: string }]
      await source.node(1).kill('SIGTERM')
      await changeLast(join(source.directory, 'node-1', 'data'), damage)
      await source.node(1).start()
      await scene.user.ok(`RESUME SUBSCRIPTION ${id}`)
      // A log that is whole but for this: nobody but who looks into it sees it.
      await scene.says(t, says)
      const { gaps } = await scene.shown()
      await scene.write(2)
      await scene.says(t, says)
      const input = JSON.stringify({ version: 1, partitions: [{ topic: FLOW, partition: 0, offset: Number(offset) }] })
      await source.tool('kafka-delete-records', ['--offset-json-file', '/dev/stdin'], { input })
      await scene.until(s => Number(s['gaps']) === Number(gaps) + 1)
      t.pass('its owner has removed it: a gap, and it goes on')
      scene.drop(-3, 1)
      await scene.goesOn(t)
    })

  await t.test('what happens to the topic of a subscription that was stopped', async t => {
    const gaps = async () => Number((await scene.shown())['gaps'])
    const before = await gaps()
    const id = (await scene.shown())['subscription']!
    await scene.user.ok(`STOP SUBSCRIPTION ${id}`)
    await scene.write(4)
    const [{ offset }] = (await there.fetchTopicOffsets(FLOW)) as unknown as [{ offset: string }]
    const input = JSON.stringify({
      version: 1,
      partitions: [{ topic: FLOW, partition: 0, offset: Number(offset) - 2 }],
    })
    await source.tool('kafka-delete-records', ['--offset-json-file', '/dev/stdin'], { input })
    scene.drop(-4, 2)
    await scene.user.ok(`RESUME SUBSCRIPTION ${id}`)
    await scene.goesOn(t, 'retention has passed its position: what is left comes')
    t.equal(await gaps(), before + 1, 'and a gap is shown')
    await scene.user.ok(`STOP SUBSCRIPTION ${id}`)
    await there.deleteTopics({ topics: [FLOW] })
    await there.createTopics({ topics: [{ topic: FLOW, numPartitions: 1 }] })
    await scene.write(3)
    await scene.user.ok(`RESUME SUBSCRIPTION ${id}`)
    await scene.goesOn(t, 'the topic was made anew: it is read from its beginning')
    t.equal(await gaps(), before + 2, 'and a gap is shown')
  })
})

/** Changes the last batch of the flow's topic. */
async function changeLast(data: string, change: (batch: Buffer) => void): Promise<void> {
  const folder = join(data, `${FLOW}-0`)
  const segment = (await readdir(folder))
    .filter(f => f.endsWith('.log'))
    .sort()
    .at(-1)!
  const bytes = await readFile(join(folder, segment))
  let last = 0
  for (let at = 0; at + 61 < bytes.length; at += bytes.readInt32BE(at + 8) + 12) last = at
  change(bytes.subarray(last))
  await writeFile(join(folder, segment), bytes)
}
