// Our mover against MirrorMaker 2, between two real clusters: see README.md.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AddressGuard, makeDial, Resolver } from '@fnaa/client'
import { Cluster, LATEST, listOffsets } from '@fnaa/kafka-wire'
import { installKafka, startKafka, startMirrorMaker } from '@fnaa/services'
import { cpu, folder, median, round } from './lib.mjs'

const c = { signal: new AbortController().signal }
const TUNED = {
  'tasks.max': 2,
  'emit.heartbeats.enabled': 'false',
  'A.consumer.max.poll.records': 2000,
  'B.producer.batch.size': 262_144,
  'B.producer.linger.ms': 20,
  'B.producer.buffer.memory': 67_108_864,
}
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

/** What is moved: bytes of values, of one event, the producer's codec and its batches. */
const WORK = {
  'none 1 KiB': { mb: 4096, size: 1024, codec: 'none', batch: 524_288, goal: 5 },
  'lz4 1 KiB': { mb: 1024, size: 1024, codec: 'lz4', batch: 524_288, goal: 5 },
  'none 100 B': { mb: 400, size: 100, codec: 'none', batch: 524_288, goal: 10 },
  'small batches': { mb: 200, size: 1024, codec: 'none', batch: 1, goal: 3 },
}

export async function kafka(options = {}) {
  installKafka()
  const share = Number(options.share ?? 1)
  const rounds = Number(options.rounds ?? 3)
  const only = options.only
  const resolver = new Resolver({ servers: [] })
  const dial = makeDial({ resolve: resolver.resolve, guard: new AddressGuard({ allow: ['0.0.0.0/0', '::/0'] }) })
  const rows = []
  for (const [name, work] of Object.entries(WORK)) {
    if (only && !name.includes(only)) continue
    const ours = []
    const rival = []
    const events = Math.round((work.mb * share * 1e6) / work.size)
    for (let i = 0; i < rounds; i++) {
      // Fresh clusters: nothing of one round is in the caches of the next.
      const [a, b] = await Promise.all([startKafka(), startKafka()])
      const target = new Cluster({ servers: b.servers, dial })
      try {
        await fill(a, 't', events, work)
        await create(b, 't')
        ours.push(await moved(target, 't', events, work, () => mover(a, b)))
        rival.push(await moved(target, 'A.t', events, work, () => mirror(a, b, work)))
      } finally {
        target.close()
        await Promise.all([a.stop(), b.stop()])
      }
      console.error(name, JSON.stringify({ ours: ours.at(-1), rival: rival.at(-1) }))
    }
    const [o, r] = [ours, rival].map(list => median(list.map(x => x.rate)))
    rows.push({
      what: `Kafka to Kafka, ${name}`,
      ours: `${round(o)} MB/CPU-s, ${Math.max(...ours.map(x => x.rss))} MB`,
      rival: `${round(r)} MB/CPU-s, ${Math.max(...rival.map(x => x.rss))} MB`,
      ratio: round(o / r),
      goal: `>=${work.goal}`,
      reached: o / r >= work.goal ? 'yes' : 'no',
    })
  }
  resolver.close()
  return rows
}

const create = (k, topic) => k.tool('kafka-topics', ['--create', '--topic', topic, '--partitions', '2'])

async function fill(k, topic, events, work) {
  await create(k, topic)
  const file = join(folder(), 'payload')
  writeFileSync(file, Array.from({ length: 500 }, () => payload(work.size)).join('\n'))
  const settings = [
    `bootstrap.servers=${k.servers}`,
    `batch.size=${work.batch}`,
    'linger.ms=50',
    'acks=1',
    `compression.type=${work.codec}`,
    'buffer.memory=67108864',
  ]
  const args = ['--topic', topic, '--num-records', events, '--payload-file', file, '--throughput', '-1']
  const ran = await k.tool('producer-perf', [...args.map(String), '--command-property', ...settings])
  if (ran.code !== 0) throw new Error(`producer-perf: ${ran.stderr}${ran.stdout}`)
}

/** JSON that compresses about as events do. */
function payload(size) {
  let text = '{"id":"'
  while (text.length < size - 2)
    text += `${randomBytes(6).toString('hex')}","value":${text.length},"unit":"celsius","at":"`
  return `${text.slice(0, size - 2)}"}`
}

/** MB of values per CPU-second of the mover's process, from the first event seen at the target to the last. */
async function moved(target, topic, events, work, begin) {
  const process = await begin()
  let from = null
  let rss = 0
  const end = Date.now() + 900_000
  for (;;) {
    await pause(100)
    const n = await count(target, topic)
    rss = Math.max(rss, peak(process.pid))
    if (n > 0 && !from) from = { n, cpu: cpu(process.pid), at: performance.now() }
    if (n >= events) {
      const used = cpu(process.pid) - from.cpu
      const mb = ((n - from.n) * work.size) / 1e6
      const wall = (performance.now() - from.at) / 1000
      await process.stop()
      return { rate: round(mb / used), cpu: round(used), wall: round(mb / wall), rss }
    }
    if (Date.now() > end) throw new Error(`${topic}: ${n} of ${events} events in fifteen minutes\n${process.log ?? ''}`)
  }
}

async function count(target, topic) {
  try {
    const info = await target.topic(topic, c, true)
    let n = 0
    for (const p of info.partitions) {
      const connection = await target.leader(topic, p.partition, 'control', c)
      const parts = [{ topic, partition: p.partition, time: LATEST }]
      n += (await connection.request(listOffsets, { committed: false, parts }))[0].offset
    }
    return n
  } catch {
    return 0
  }
}

/** Resident memory at its peak, in MB. */
const peak = pid => Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1000)

async function mover(a, b) {
  const spec = JSON.stringify({ from: a.servers, to: b.servers, topic: 't' })
  const child = spawn(process.execPath, [fileURLToPath(new URL('kafka-mover.mjs', import.meta.url)), spec], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  process.on('exit', () => child.kill('SIGKILL'))
  return { pid: child.pid, stop: async () => child.kill('SIGKILL') }
}

const mirror = (a, b, work) =>
  startMirrorMaker(a.servers, b.servers, 't', {
    ...TUNED,
    ...(work.codec === 'none' ? {} : { 'B.producer.compression.type': work.codec }),
  })
