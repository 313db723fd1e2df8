// Durable append and READ of 1 KiB events against a bare LMDB log, 1,000 events a batch, in MB per second of wall time (the disk
// is what is measured) for appends and per CPU-second for reads.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { folder, interleave, median, root, row } from './lib.mjs'

const require = createRequire(join(root, 'plugins/broker-embedded/package.json'))
const EVENTS = 1000
const BATCHES = Number(process.env.BENCH_BATCHES ?? 150)
const c = { signal: new AbortController().signal }
const load = path => import(pathToFileURL(join(root, path)).href)

export async function log() {
  const { batchOf, encodeBatch } = await load('protocol/dist/index.js')
  const { harness } = await load('conformance/dist/index.js')
  const { default: embedded } = await load('plugins/broker-embedded/dist/index.js')
  const { default: driver } = await load('plugins/broker-embedded/dist/driver.js')
  const { open } = require('lmdb')
  const value = Buffer.alloc(1024)
  for (let i = 0; i < value.length; i++) value[i] = (i * 7919) & 255
  const h = await harness(embedded({ directory: folder(), mapSize: 8 * 2 ** 30 }))
  // As of the broker's clock, which is the harness's: events of another time would be clamped, each batch made anew.
  const timestamp = h.clock.now()
  const bytes = encodeBatch(Array.from({ length: EVENTS }, () => ({ key: null, value, headers: [], timestamp })))
  const MB = (EVENTS * 1024) / 1e6
  const db = open({
    path: join(folder(), 'bare.mdb'),
    mapSize: 8 * 2 ** 30,
    keyEncoding: 'binary',
    encoding: 'binary',
    noMemInit: true,
  })
  let queue = 0
  let key = 0

  const appendOurs = async () => {
    const name = `q${queue++}.flows.unix.test`
    await h.service.createQueue(name, {}, c)
    const at = h.service.internal(name)
    const wire = await driver.open(at.endpoint, at.credential, { log: console, dial: null, foreign: false }, c)
    const sink = await wire.sink({ writer: 'bench', epoch: 1 }, c)
    const started = performance.now()
    for (let i = 0; i < BATCHES; i++) await sink.write(batchOf({ shard: '0', last: String(i), bytes }), {}, c)
    const seconds = (performance.now() - started) / 1000
    await sink.close()
    await wire.close()
    return (BATCHES * MB) / seconds
  }
  const appendBare = async () => {
    const started = performance.now()
    for (let i = 0; i < BATCHES; i++) {
      const k = Buffer.alloc(8)
      k.writeBigUInt64BE(BigInt(key++))
      await db.put(k, bytes)
      await db.flushed
    }
    return (BATCHES * MB) / ((performance.now() - started) / 1000)
  }
  const appended = await interleave(7, { ours: appendOurs, bare: appendBare })

  const cpuSeconds = async work => {
    const before = process.cpuUsage()
    await work()
    const used = process.cpuUsage(before)
    return (BATCHES * MB) / ((used.user + used.system) / 1e6)
  }
  const readOurs = () =>
    cpuSeconds(async () => {
      const at = h.service.internal('q0.flows.unix.test')
      const wire = await driver.open(at.endpoint, at.credential, { log: console, dial: null, foreign: false }, c)
      const source = await wire.source({ reader: 'bench', epoch: 1, from: { at: 'earliest' } }, c)
      const stop = new AbortController()
      let n = 0
      for await (const b of source.read({ signal: stop.signal })) {
        n += b.count
        if (n >= EVENTS * BATCHES) break
      }
      stop.abort()
      await source.close()
      await wire.close()
    })
  const readBare = () =>
    cpuSeconds(async () => {
      let n = 0
      for (const { value: v } of db.getRange({})) {
        // As a reader would: the bytes are its own, not the page's.
        n += Buffer.from(v).length
        if (n >= bytes.length * BATCHES) break
      }
    })
  const read = await interleave(7, { ours: readOurs, bare: readBare })
  await h.close()
  await db.close()
  void median
  return [
    row('durable append, 1 KiB events', appended.ours, appended.bare, '>=0.8', 'MB/s'),
    row('READ, 1 KiB events', read.ours, read.bare, '>=0.5', 'MB/CPU-s'),
  ]
}
