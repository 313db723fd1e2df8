// How long an event takes from the source's producer to who reads at the target.
import { median, round } from '../lib.mjs'
import { child, create, mirror, moved, mover, pause, withClusters } from './clusters.mjs'

const RATE = 2000
const WARM_S = 10

export async function latency({ share, rounds, wanted }) {
  const what = `latency at ${RATE} events/s`
  if (!wanted(what)) return []
  const seconds = Math.max(5, Math.round(60 * share))
  const found = { none: [], ours: [], rival: [] }
  for (let i = 0; i < rounds; i++) {
    await withClusters(async ({ a, b, target }) => {
      // One event through it first: who has started is not waited for in the figures.
      const probe = at => measured({ from: a.servers, to: at.servers, topic: 't', sink: at.topic, rate: RATE, seconds })
      await create(a, 't')
      await create(b, 't')
      found.none.push(await probe({ servers: a.servers, topic: 't' }))
      const one = { size: 1, n: 1 }
      const through = async (topic, begin) => {
        let running
        await moved(target, [topic], one.n, one.size, async () => {
          running = await begin()
          return { pid: running.pid, stop: async () => undefined }
        })
        const result = await probe({ servers: b.servers, topic })
        await running.stop()
        return result
      }
      found.ours.push(await through('t', () => mover(a, b, 't')))
      // Whoever asks for latency does not let a producer linger.
      const quick = { 'B.producer.linger.ms': 0, 'A.consumer.fetch.min.bytes': 1 }
      found.rival.push(await through('A.t', () => mirror(a, b, 't', quick)))
      await pause(0)
    })
    console.error(what, JSON.stringify(Object.fromEntries(Object.entries(found).map(([k, v]) => [k, v.at(-1)]))))
  }
  return ['p50', 'p99'].map(p => {
    const [none, ours, rival] = ['none', 'ours', 'rival'].map(k => median(found[k].map(x => x[p])))
    return {
      what: `${what}, ${p} (${round(none)} ms without a mirror)`,
      ours: `${round(ours)} ms`,
      rival: `MirrorMaker 2: ${round(rival)} ms`,
      ratio: round(ours / rival),
      goal: '<1',
      reached: ours < rival ? 'yes' : 'no',
    }
  })
}

async function measured(spec) {
  const probe = await child('probe.mjs', { ...spec, warm: WARM_S }, 'pipe')
  let text = ''
  probe.stdout.setEncoding('utf8').on('data', chunk => (text += chunk))
  await probe.gone
  return JSON.parse(text)
}
