// What the Kafka benchmarks share: two clusters, a filled topic, movers in processes of their own, and how they are measured.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AddressGuard, makeDial, Resolver } from '@fnaa/client'
import { Cluster, LATEST, listOffsets } from '@fnaa/kafka-wire'
import { startKafka, startMirrorMaker } from '@fnaa/services'
import { cpu, folder, round } from '../lib.mjs'

export const c = { signal: new AbortController().signal }
export const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
const TUNED = {
  'tasks.max': 2,
  'emit.heartbeats.enabled': 'false',
  'A.consumer.max.poll.records': 2000,
  'B.producer.batch.size': 262_144,
  'B.producer.linger.ms': 20,
  'B.producer.buffer.memory': 67_108_864,
}

/** Fresh ones for each round: nothing of one is in the caches of the next. */
export async function withClusters(work) {
  const resolver = new Resolver({ servers: [] })
  const dial = makeDial({ resolve: resolver.resolve, guard: new AddressGuard({ allow: ['0.0.0.0/0', '::/0'] }) })
  const [a, b] = await Promise.all([startKafka(), startKafka()])
  const target = new Cluster({ servers: b.servers, dial })
  try {
    return await work({ a, b, target })
  } finally {
    target.close()
    resolver.close()
    await Promise.all([a.stop(), b.stop()])
  }
}

export async function create(k, topic, partitions = 2) {
  await k.tool('kafka-topics', ['--create', '--topic', topic, '--partitions', String(partitions)])
}

/** @param work how many bytes one event's value has, the producer's codec and its batches */
export async function fill(k, topic, events, work) {
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

/**
 * MB of values per CPU-second of the mover's process, from the first event seen at the target to the last.
 * @param topics at the target; the last to be complete counts
 */
export async function moved(target, topics, events, size, begin) {
  const process = await begin()
  let from = null
  let rss = 0
  const end = Date.now() + 900_000
  for (;;) {
    await pause(100)
    const counts = await Promise.all(topics.map(topic => count(target, topic)))
    const n = Math.min(...counts)
    rss = Math.max(rss, peak(process.pid))
    if (n > 0 && !from) from = { n, cpu: cpu(process.pid), at: performance.now() }
    if (n >= events) {
      const used = cpu(process.pid) - from.cpu
      const mb = ((n - from.n) * size) / 1e6
      const wall = (performance.now() - from.at) / 1000
      await process.stop()
      return { rate: round(mb / used), cpu: round(used), wall: round(mb / wall), rss }
    }
    if (Date.now() > end)
      throw new Error(`${topics}: ${n} of ${events} events in fifteen minutes\n${process.log ?? ''}`)
  }
}

async function count(target, topic) {
  try {
    const info = await target.topic(topic, c, true)
    let n = 0
    for (const p of info.partitions) {
      const connection = await target.leader(topic, p.partition, 'control', c)
      // The marks of transactions count as events: they are too few to matter.
      const parts = [{ topic, partition: p.partition, time: LATEST }]
      n += (await connection.request(listOffsets, { committed: true, parts }))[0].offset
    }
    return n
  } catch {
    return 0
  }
}

/** Resident memory in MB: at its peak, and now. */
export const peak = pid => memory(pid, 'VmHWM')
export const resident = pid => memory(pid, 'VmRSS')
const memory = (pid, what) =>
  Math.round(Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1000)

/** A program of this folder in a process of its own, told what to do by one argument. */
export async function child(name, spec, stdout = 'ignore') {
  const file = fileURLToPath(new URL(name, import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(spec)], { stdio: ['ignore', stdout, 'inherit'] })
  process.on('exit', () => child.kill('SIGKILL'))
  const gone = new Promise(resolve => child.once('exit', resolve))
  return {
    pid: child.pid,
    stdout: child.stdout,
    gone,
    stop: () => {
      child.kill('SIGKILL')
      return gone
    },
  }
}

/** The engine that a processor host runs. @param more `sinks` (topics at the target; the same name if absent), `exactly` */
export const mover = (a, b, topic, more = {}) => child('mover.mjs', { from: a.servers, to: b.servers, topic, ...more })

export const mirror = (a, b, topic, more = {}) => startMirrorMaker(a.servers, b.servers, topic, { ...TUNED, ...more })
