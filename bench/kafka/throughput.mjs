// How much CPU a moved megabyte takes, against MirrorMaker 2 and against a loop over kafkajs.
import { median, round } from '../lib.mjs'
import { child, create, fill, mirror, moved, mover, withClusters } from './clusters.mjs'

/** What is moved: bytes of values, of one event, the producer's codec and its batches. */
const WORK = {
  'none 1 KiB': { mb: 4096, size: 1024, codec: 'none', batch: 524_288, goal: 5, loop: 0.25 },
  'lz4 1 KiB': { mb: 1024, size: 1024, codec: 'lz4', batch: 524_288, goal: 5 },
  'none 100 B': { mb: 400, size: 100, codec: 'none', batch: 524_288, goal: 10 },
  'small batches': { mb: 200, size: 1024, codec: 'none', batch: 1, goal: 3 },
}

export async function throughput({ share, rounds, wanted }) {
  const rows = []
  for (const [name, work] of Object.entries(WORK)) {
    const what = `Kafka to Kafka, ${name}`
    if (!wanted(what)) continue
    const events = Math.round((work.mb * share * 1e6) / work.size)
    const found = { ours: [], rival: [], loop: [] }
    for (let i = 0; i < rounds; i++) {
      await withClusters(async ({ a, b, target }) => {
        await fill(a, 't', events, work)
        await create(b, 't')
        found.ours.push(await moved(target, ['t'], events, work.size, () => mover(a, b, 't')))
        const compress = work.codec === 'none' ? {} : { 'B.producer.compression.type': work.codec }
        found.rival.push(await moved(target, ['A.t'], events, work.size, () => mirror(a, b, 't', compress)))
        if (!work.loop) return
        // A loop decodes every event: a quarter of the work takes it as long.
        await create(b, 'loop')
        const spec = { from: a.servers, to: b.servers, topic: 't', sink: 'loop' }
        const part = Math.round(events * work.loop)
        found.loop.push(await moved(target, ['loop'], part, work.size, () => child('kafkajs-loop.mjs', spec)))
      })
      console.error(
        what,
        JSON.stringify({ ours: found.ours.at(-1), rival: found.rival.at(-1), loop: found.loop.at(-1) }),
      )
    }
    rows.push(row(what, found.ours, found.rival, work.goal, 'MirrorMaker 2'))
    if (found.loop.length > 0) rows.push(row(what, found.ours, found.loop, undefined, 'kafkajs'))
  }
  return rows
}

export function row(what, ours, theirs, goal, rival) {
  const [o, r] = [ours, theirs].map(list => median(list.map(x => x.rate)))
  const memory = list => Math.max(...list.map(x => x.rss))
  return {
    what,
    ours: `${round(o)} MB/CPU-s, ${memory(ours)} MB`,
    rival: `${rival}: ${round(r)} MB/CPU-s, ${memory(theirs)} MB`,
    ratio: round(o / r),
    goal: goal === undefined ? '' : `>=${goal}`,
    reached: goal === undefined ? '' : o / r >= goal ? 'yes' : 'no',
  }
}
