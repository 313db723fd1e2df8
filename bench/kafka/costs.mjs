// What more subscribers of one flow cost, what exactly once costs, and what a thousand subscriptions cost that nothing comes for.
import { cpu, median, round } from '../lib.mjs'
import { child, create, fill, moved, mover, pause, resident, withClusters } from './clusters.mjs'

const WORK = { mb: 1024, size: 1024, codec: 'none', batch: 524_288 }
const SINKS = 10
const IDLE = 1000
const IDLE_S = 60

/** From one subscriber in mode copy to ten: CPU of the one Distributor, for the same events of the source. */
export async function subscribers({ share, rounds, wanted }) {
  const what = `one flow, 1 to ${SINKS} subscribers (copy)`
  if (!wanted(what)) return []
  const events = Math.round((WORK.mb * share * 1e6) / WORK.size / 2)
  const found = []
  for (let i = 0; i < rounds; i++) {
    await withClusters(async ({ a, b, target }) => {
      await fill(a, 't', events, WORK)
      const names = Array.from({ length: SINKS }, (_, n) => `s${n}`)
      for (const name of [...names, 'alone']) await create(b, name)
      const one = await moved(target, ['alone'], events, WORK.size, () => mover(a, b, 't', { sinks: ['alone'] }))
      const ten = await moved(target, names, events, WORK.size, () => mover(a, b, 't', { sinks: names }))
      found.push({ one, ten, ratio: one.rate / ten.rate })
    })
    console.error(what, JSON.stringify(found.at(-1)))
  }
  const of = pick => median(found.map(pick))
  return [
    {
      what,
      ours: `${round(of(f => f.ten.rate))} MB/CPU-s of the source, ${of(f => f.ten.rss)} MB`,
      rival: `one: ${round(of(f => f.one.rate))} MB/CPU-s, ${of(f => f.one.rss)} MB`,
      ratio: round(of(f => f.ratio)),
      goal: '',
      reached: '',
    },
  ]
}

export async function exactlyOnce({ share, rounds, wanted }) {
  const what = 'exactly once'
  if (!wanted(what)) return []
  const events = Math.round((WORK.mb * share * 1e6) / WORK.size)
  const found = []
  for (let i = 0; i < rounds; i++) {
    await withClusters(async ({ a, b, target }) => {
      await fill(a, 't', events, WORK)
      await create(b, 't')
      const once = await moved(target, ['t'], events, WORK.size, () => mover(a, b, 't', { exactly: true }))
      await create(b, 'least')
      const least = await moved(target, ['least'], events, WORK.size, () => mover(a, b, 't', { into: 'least' }))
      found.push({ once, least })
    })
    console.error(what, JSON.stringify(found.at(-1)))
  }
  const of = pick => median(found.map(pick))
  return [
    {
      what: `${what}, 1 KiB in 512 KiB batches`,
      ours: `${round(of(f => f.once.rate))} MB/CPU-s, ${round(of(f => f.once.wall))} MB/s`,
      rival: `at least once: ${round(of(f => f.least.rate))} MB/CPU-s, ${round(of(f => f.least.wall))} MB/s`,
      ratio: round(of(f => f.once.rate / f.least.rate)),
      goal: '',
      reached: '',
    },
  ]
}

/** Each reads a topic of its own, in one processor host. */
export async function idle({ wanted, share }) {
  const n = share < 1 ? Math.max(50, Math.round(IDLE * share)) : IDLE
  const what = `${n} idle subscriptions on one host`
  if (!wanted(what)) return []
  const found = await withClusters(async ({ a, b }) => {
    const topics = Array.from({ length: n }, (_, i) => `t${i}`)
    const host = await child('idle-host.mjs', { from: a.servers, to: b.servers, topics }, 'pipe')
    await new Promise(resolve => host.stdout.once('data', resolve))
    await pause(5000)
    const before = cpu(host.pid)
    await pause(IDLE_S * 1000)
    const used = (cpu(host.pid) - before) / IDLE_S
    const mb = resident(host.pid)
    await host.stop()
    return { used, mb }
  })
  console.error(what, JSON.stringify(found))
  const ours = `${round(found.used * 100)} % of a CPU, ${found.mb} MB`
  return [{ what, ours, rival: '', ratio: '', goal: '', reached: '' }]
}
