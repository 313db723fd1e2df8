// Writes events at a steady rate to one topic and reads them from another; prints how long they took, in milliseconds.
import { operatorsDial } from '@fnaa/core/plugin'
import { batchOf, encodeBatch } from '@fnaa/protocol'

const { from, to, topic, sink: read, rate, seconds, warm } = JSON.parse(process.argv[2])
const { default: driver } = await import('@fnaa/broker-kafka/driver')
const c = { signal: new AbortController().signal }
const log = { debug() {}, info() {}, warn() {}, error: console.error }
const host = { dial: operatorsDial, foreign: false, log }
const open = (servers, queue) => driver.open({ type: 'kafka', servers, queue }, null, host, c)
const sink = await (await open(from, topic)).sink({ writer: 'probe', epoch: 0 }, c)
const source = await (await open(to, read)).source({ reader: 'probe', epoch: 0, from: { at: 'latest' } }, c)
const EVERY_MS = 5
const begun = performance.now()
const took = []
const mine = `${process.pid} `

void (async () => {
  for await (const piece of source.read(c)) {
    if ('reason' in piece) continue
    const now = performance.now()
    for (const event of piece.events({ bytes: 1 << 24 })) {
      const text = Buffer.from(event.value).toString('latin1')
      if (!text.startsWith(mine)) continue
      const sent = Number(text.slice(mine.length, text.indexOf('|')))
      if (sent - begun > warm * 1000) took.push(now - sent)
    }
  }
})()

let written = 0
const ticker = setInterval(() => {
  const now = performance.now()
  const due = Math.floor(((now - begun) / 1000) * rate)
  if (due <= written) return
  const events = []
  for (; written < due; written++) {
    const value = Buffer.alloc(200, '.')
    value.write(`${mine}${now}|`)
    events.push({ key: Buffer.from(String(written % 100)), value, headers: [], timestamp: Date.now() })
  }
  const bytes = encodeBatch(events)
  sink.write(batchOf({ shard: '', last: '', bytes }), {}, c).catch(e => console.error(e.message))
}, EVERY_MS)

setTimeout(
  () => {
    clearInterval(ticker)
    setTimeout(() => {
      took.sort((x, y) => x - y)
      const at = share => took[Math.floor(took.length * share)] ?? Number.NaN
      console.log(JSON.stringify({ n: took.length, p50: at(0.5), p99: at(0.99), p999: at(0.999) }))
      process.exit(0)
    }, 1000)
  },
  (warm + seconds) * 1000,
)
