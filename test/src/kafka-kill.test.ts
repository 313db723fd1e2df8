import { appendFileSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { type Kafka, unavailable } from '@fnaa/services'
import t, { type Test } from 'tap'
import { Load, leaderOf, lost, seenIn } from './support/kafka-load.js'
import { again, done, type Parties, parties, shows } from './support/kafka-parties.js'
import type { ProcessAgent } from './support/process.js'
import { Random, seedOf } from './support/random.js'

// Kill -9 all over two organisations with a cluster each, while 2,000 events a second run through a copy and directly. Kafka's own
// tools say what came of it. `npm run test:kill -- --kafka N --seed S` runs more; what is in its log need not be run again.
const KILLS = Number(process.env['FNAAD_KAFKA_KILLS'] ?? 20)
const PER_ROUND = 20
const SEED = seedOf()
const LOG = process.env['FNAAD_KAFKA_LOG']
const RATE = 2000
const SHARDS = 2
const TARGETS = ['source agent', 'subscribing agent', 'host', 'broker', 'leader', 'target broker'] as const
const skip = unavailable() ?? false

const note = (entry: object): void => {
  if (LOG) appendFileSync(LOG, `${JSON.stringify({ at: new Date().toISOString(), ...entry })}\n`)
}
/** Rounds that a log says have ended well. */
const before = new Set(
  (LOG ? readFileSync(LOG, 'utf8').split('\n') : [])
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as { round: number; result?: { well: boolean } })
    .flatMap(e => (e.result?.well ? [e.round] : [])),
)

t.setTimeout(120_000 + KILLS * 30_000)
for (const guarantee of ['exactly-once', 'at-least-once'] as const) {
  const rounds = Array.from({ length: Math.ceil(KILLS / PER_ROUND) }, (_, i) => i + 1)
    // Every second one; where there is one only, it is exactly once.
    .filter(r => (r % 2 === 1) === (guarantee === 'exactly-once') && !before.has(r))
  if (rounds.length === 0) continue
  t.test(`${guarantee}, seed ${SEED}`, { skip }, async t => {
    const all = await parties(t, { guarantee, source: { nodes: 3 } })
    for (const n of rounds) await t.test(`round ${n}`, t => round(t, all, n, guarantee))
  })
}

async function round(t: Test, all: Parties, n: number, guarantee: string): Promise<void> {
  const random = new Random(SEED + n)
  // What the round before left.
  for (const agent of [all.a, all.b]) if (!agent.alive) await agent.start()
  const flow = `load${n}.flows.unix.test`
  const copy = `copy${n}.flows.emiliano.test`
  const direct = `direct${n}.flows.emiliano.test`
  await done(all.a, `CREATE FLOW ${flow} BROKER broker-kafka SHARDS ${SHARDS} VISIBILITY public`)
  const safe = ['--alter', '--entity-type', 'topics', '--entity-name', flow, '--add-config', 'min.insync.replicas=2']
  await all.source.tool('kafka-configs', safe)
  for (const [local, mode] of [
    [copy, 'copy'],
    [direct, 'direct'],
  ] as const) {
    await done(all.b, `CREATE FLOW ${local} BROKER broker-kafka SHARDS ${SHARDS}`)
    await done(all.b, `SUBSCRIBE ${flow} LOCAL ${local} MODE ${mode} FROM earliest`)
  }
  const load = new Load(all.source, flow, SHARDS, RATE)
  load.start()
  const brokers = new Brokers()
  const kills = Math.min(PER_ROUND, KILLS - (n - 1) * PER_ROUND)
  for (let kill = 1; kill <= kills; kill++) {
    await load.more(200 + random.below(1500))
    const target = random.pick(TARGETS)
    const began = Date.now()
    const who = await strike(target, all, flow, brokers, random)
    note({ round: n, kill, target, who, tookMs: Date.now() - began, acknowledged: load.acknowledged })
  }
  await brokers.allBack()
  await load.more(1000)
  await load.stop()
  for (const local of [copy, direct])
    await shows(
      all.b,
      'GET SUBSCRIPTIONS',
      s => s['local'] === local && s['phase'] === 'active' && s['lag-events'] === '0',
    )
  const [source, copied, directly] = await Promise.all([
    seenIn(all.source, flow),
    seenIn(all.target, copy),
    seenIn(all.target, direct),
  ])
  const exactly = guarantee === 'exactly-once'
  const result = {
    acknowledged: load.acknowledged,
    source: source.total,
    lost: { source: lost(load.ledger, source), copy: lost(load.ledger, copied), direct: lost(load.ledger, directly) },
    outOfOrder: source.wrong.length + copied.wrong.length + directly.wrong.length,
    duplicates: { source: source.duplicates, copy: copied.duplicates, direct: directly.duplicates },
  }
  t.comment(JSON.stringify(result))
  t.same(result.lost, { source: 0, copy: 0, direct: 0 }, 'nothing that was acknowledged is lost')
  t.same([...source.wrong, ...copied.wrong, ...directly.wrong].slice(0, 10), [], 'each key in its order')
  if (exactly) t.same(directly.partitions, source.partitions, 'event by event what stands in the source')
  note({ round: n, guarantee, seed: SEED, result: { ...result, well: t.passing() } })
  await done(all.b, `UNSUBSCRIBE ${copy}`)
  await done(all.b, `UNSUBSCRIBE ${direct}`)
}

/** Kills one. @returns which */
async function strike(
  target: (typeof TARGETS)[number],
  all: Parties,
  flow: string,
  brokers: Brokers,
  random: Random,
): Promise<string> {
  switch (target) {
    case 'source agent':
      return restarted(all.a)
    case 'subscribing agent':
      return restarted(all.b)
    case 'host': {
      const [whose, agent] = random.pick([['source', all.a] as const, ['subscriber', all.b] as const])
      for (const pid of await hostsOf(agent)) process.kill(pid, 'SIGKILL')
      return whose
    }
    case 'target broker':
      return brokers.strike(all.target, async () => 1, random.below(2000))
    default: {
      const partition = random.below(SHARDS)
      const other = 1 + random.below(3)
      const which = async () => (target === 'leader' ? await leaderOf(all.source, flow, partition) : null) ?? other
      // Sometimes it is missed, and another one leads; sometimes it is back before.
      return brokers.strike(all.source, which, random.below(4000))
    }
  }
}

/** Brokers that were killed come back while other things happen; of one cluster, only one is missing at a time. */
class Brokers {
  readonly #missing = new Map<Kafka, Promise<void>>()

  async strike(cluster: Kafka, which: () => Promise<number>, awayMs: number): Promise<string> {
    await this.#missing.get(cluster)
    const node = cluster.node(await which())
    await node.kill()
    this.#missing.set(
      cluster,
      pause(awayMs).then(() => node.start()),
    )
    return String(node.number)
  }

  async allBack(): Promise<void> {
    await Promise.all(this.#missing.values())
  }
}

async function restarted(agent: ProcessAgent): Promise<string> {
  await agent.kill()
  await agent.start()
  return agent.where.domain
}

/** A host that was killed a moment ago is being started anew. */
const hostsOf = (agent: ProcessAgent): Promise<number[]> =>
  again(agent, async () => {
    const hosts = await agent.children()
    if (hosts.length === 0) throw new Error('no host is started')
    return hosts
  })
