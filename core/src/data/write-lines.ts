import {
  batchOf,
  encodeBatch,
  type FlowEvent,
  fnapError,
  isFnapError,
  LIMITS,
  LINE_COST,
  lineToEvent,
} from '@fnaa/protocol'
import type { Context } from '../commands/command.js'
import { toFnapError } from '../server/errors.js'
import type { Result, Session } from '../server/session.js'
import type { Target } from './target.js'

/** WRITE as text: lines until a single dot; all of them or none. */
export async function writeLines(cx: Context, t: Target, key: string | undefined): Promise<Result> {
  const wire = await cx.kernel.brokers.open(t.flow, cx.call)
  return {
    stream: async session => {
      const untrack = cx.kernel.provider.track({
        session,
        flow: t.flow.name,
        right: 'write',
        subject: cx.subject,
        name: t.name,
      })
      try {
        session.send('354 one event a line, a single dot ends\r\n')
        session.flush()
        const { events, error } = await body(cx, session, key)
        if (session.gone.signal.aborted) return
        session.release()
        if (error) throw error
        if (events.length > 0) {
          const sink = await wire.sink({ writer: `write-${session.id}`, epoch: 0 }, cx.call)
          try {
            // In no shard yet: the broker spreads them by their keys.
            await sink.write(batchOf({ shard: '', last: '0', bytes: encodeBatch(events) }), {}, cx.call)
          } finally {
            await sink.close()
          }
        }
        session.send(`220 OK written=${events.length}\r\n`)
      } catch (e) {
        if (session.gone.signal.aborted) return
        const said = toFnapError(e)
        cx.kernel.log.info({ session: session.id, flow: t.flow.name, err: said.message }, 'write refused')
        session.end(said)
      } finally {
        untrack()
        await wire.close().catch(() => undefined)
      }
    },
  }
}

/** Reads to the dot even when a line is bad, so that what follows is not taken for commands. */
async function body(
  cx: Context,
  session: Session,
  key: string | undefined,
): Promise<{ events: FlowEvent[]; error: Error | null }> {
  const events: FlowEvent[] = []
  let error: Error | null = null
  let bytes = 0
  for (;;) {
    const line = await session.nextLine(LIMITS.event)
    if (line === null || line === '.') return { events, error }
    bytes += Buffer.byteLength(line) + LINE_COST
    if (error) continue
    if (bytes > LIMITS.body) {
      error = fnapError('TOOLONG', 'the lines of one WRITE are over the limit that CAPABILITIES names as body')
      events.length = 0
      continue
    }
    try {
      const text = line.startsWith('.') ? line.slice(1) : line
      events.push(lineToEvent(text, { now: cx.kernel.clock.now(), ...(key === undefined ? {} : { key }) }))
    } catch (e) {
      error = isFnapError(e) ? e : fnapError('BADEVENT', 'an event does not follow its rules', e)
      events.length = 0
    }
  }
}
