import { setImmediate as breath } from 'node:timers/promises'
import { type Batch, codecOf, eventToLine, fnapError, type Gap, LIMITS } from '@fnaa/protocol'
import type { Context } from '../commands/command.js'
import type { ReadOptions } from '../commands/read-flow.js'
import type { Source, Wire } from '../contract/broker.js'
import { shown } from '../names/names.js'
import type { Result } from '../server/session.js'
import { cursorsOf } from './pieces.js'
import { Rate } from './rate.js'
import { cursorOf, fromOf, type Target } from './target.js'
import { all, upTo } from './up-to.js'

/** Lines that are made and sent in one go. */
const AT_ONCE = 500
/** Milliseconds that READ waits for the first batch before it says that it begins. */
const FIRST_MS = 1000

interface Reading {
  readonly wire: Wire
  readonly source: Source
  /** Places until where the flow ended when READ came: events, and some that hold none. */
  readonly until: number
  readonly epoch: string
}

/** READ as text: one CloudEvent a line. */
export async function readLines(cx: Context, t: Target, o: ReadOptions): Promise<Result> {
  const reading = await open(cx, t, o)
  const stop = new AbortController()
  const signal = AbortSignal.any([cx.session.gone.signal, stop.signal])
  const pieces = reading.source.read({ signal })[Symbol.asyncIterator]()
  const close = async () => {
    stop.abort()
    await reading.source.close().catch(() => undefined)
    await reading.wire.close().catch(() => undefined)
  }
  const first = pieces.next()
  first.catch(() => undefined)
  try {
    if (reading.until > 0) await readable(cx, first)
  } catch (e) {
    await close()
    throw e
  }
  return {
    stream: async session => {
      const cursor = cursorOf(t, o.from)
      const last = new Map<string, string>()
      const untrack = cx.kernel.provider.track({
        session,
        flow: t.flow.name,
        right: 'read',
        subject: cx.subject,
        name: t.name,
      })
      try {
        session.send('220 DATA\r\n')
        if (o.follow) void session.interrupted().then(() => stop.abort())
        const wanted = o.follow ? all(first, pieces) : upTo(reading.source, first, pieces, reading.until, signal)
        const most = Math.min(o.max ?? Number.POSITIVE_INFINITY, o.follow ? Number.POSITIVE_INFINITY : reading.until)
        await copy(cx, t, wanted, most, signal, last)
        if (session.gone.signal.aborted) return
        // Before the end is sent: what goes out next is what the client's next line acknowledges.
        if (cursor !== null && last.size > 0) {
          session.acknowledge(() => {
            for (const [shard, at] of last) cx.kernel.positions.move(cursor, reading.epoch, shard, at)
          })
        }
        session.send('220 OK\r\n')
        session.flush()
      } catch (e) {
        // A reply without its end is void: the client sees that something is missing (hardening H28).
        cx.kernel.log.warn({ session: session.id, flow: t.flow.name, err: e }, 'reading failed')
        session.destroy()
      } finally {
        untrack()
        await close()
      }
    },
  }
}

async function open(cx: Context, t: Target, o: ReadOptions): Promise<Reading> {
  const from = await fromOf(cx, t, o.from, o.follow)
  const broker = cx.kernel.brokers.of(t.flow)
  if (broker.supports.model === 'queue' && from.at !== 'latest') {
    throw fnapError('NOTSUPPORTED', 'the broker of this flow keeps no past: FROM latest only')
  }
  const wire = await cx.kernel.brokers.open(t.flow, cx.call)
  try {
    const source = await wire.source({ reader: `read-${cx.session.id}`, epoch: 0, from }, cx.call)
    const lag = await source.lag(cx.call)
    const until = Object.values(lag.shards).reduce((n, s) => n + s.behind, 0)
    return { wire, source, until, epoch: lag.epoch }
  } catch (e) {
    await wire.close().catch(() => undefined)
    throw e
  }
}

/**
 * The outcome is decided before `220 DATA`: where the codec of what comes first is not here, that is said. Nobody waits for
 * long: what stands there may be for nobody, such as marks of transactions.
 */
async function readable(cx: Context, first: Promise<IteratorResult<Batch | Gap>>): Promise<void> {
  const waited = new AbortController()
  const timer = cx.kernel.clock.timer(FIRST_MS, waited.signal)
  const piece = await Promise.race([first, timer]).finally(() => waited.abort())
  if (!piece || piece.done || isGap(piece.value)) return
  const { raw } = piece.value
  if (raw) codecOf(raw.codec)
}

async function copy(
  cx: Context,
  t: Target,
  pieces: AsyncIterable<Batch | Gap>,
  most: number,
  signal: AbortSignal,
  last: Map<string, string>,
): Promise<void> {
  const { session } = cx
  const rate = new Rate(cx.kernel.clock, () => t.limits)
  let left = most
  if (left <= 0) return
  for await (const piece of pieces) {
    if (isGap(piece)) continue
    const cursor = cursorsOf(piece)
    let lines: string[] = []
    let n = 0
    const flush = async () => {
      const text = lines.length > 0 ? `${lines.join('\r\n')}\r\n` : ''
      const count = lines.length
      lines = []
      session.send(text, true)
      await session.drained(signal)
      if (left > 0 && !signal.aborted) await rate.wait(count, text.length, signal)
    }
    for (const event of piece.events({ bytes: LIMITS.expanded })) {
      if (lines.length === AT_ONCE) {
        await flush()
        // Others get their turn: a batch may hold many small events.
        await breath()
      }
      if (left <= 0 || signal.aborted) break
      left--
      const at = cursor(n++) ?? piece.last
      lines.push(eventToLine(event, { flow: shown(t.flow.name), cursor: at, shard: piece.shard }))
      last.set(piece.shard, at)
    }
    await flush()
    if (left <= 0 || signal.aborted) return
  }
}

export const isGap = (x: Batch | Gap): x is Gap => 'reason' in x
