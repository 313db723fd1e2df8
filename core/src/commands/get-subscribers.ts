import { signalAfter } from '@fnaa/client'
import type { Call } from '../contract/common.js'
import type { Resource } from '../contract/store.js'
import type { Known } from '../federation/wish.js'
import type { Kernel } from '../kernel.js'
import { feedOf, SUBSCRIBER } from '../processors/feeds.js'
import { flow, type Handler, item, list, need, type Words } from './command.js'

const OVER: ReadonlySet<string> = new Set(['revoked', 'gone'])

/** Who reads our flow; with ALL also who did, as long as their tombstones stand. */
export const getSubscribers: Handler = {
  id: 'GET SUBSCRIBERS',
  run: async (cx, command) => {
    const f = need(cx, 'manage', flow(cx, (command.args as Words)['flow'], { alias: false }))
    const all = (command.options as Words)['all'] === true
    const found = cx.kernel.resources
      .by('Subscriber', 'flow', f.name)
      .filter(s => s.spec.generation > 0 && (all || !OVER.has(s.status.phase)))
    const lags = await Promise.all(found.map(s => lag(cx.kernel, s).catch(e => unknown(cx.kernel, s, e))))
    return list(
      found.map((s, i) => {
        const l = cx.kernel.provider.limits(s)
        const limit = [
          l.bytesPerSecond === undefined ? '' : `bytes=${l.bytesPerSecond}`,
          l.eventsPerSecond === undefined ? '' : `events=${l.eventsPerSecond}`,
        ]
          .filter(Boolean)
          .join(',')
        return item(
          [
            ['subscriber', s.spec.id],
            ['who', s.spec.for],
            ['mode', s.status.mode ?? 'fnap'],
            ['phase', s.status.phase],
            ['lag-events', lags[i]?.events],
            ['lag-ms', lags[i]?.ms],
            ['limit', limit],
            ['level', s.status.level],
            ['gaps', s.status.gaps],
            // They write, by PUBLISH.
            ['direction', s.spec.direction === 'out' ? 'out' : undefined],
          ],
          { peer: s.spec.peer, cut: s.status.cut, cause: s.spec.cause },
        )
      }),
      command.options,
    )
  },
}

/** One subscriber whose place cannot be looked at must not hide the others from the owner. */
function unknown(k: Kernel, s: Known, err: unknown): undefined {
  k.log.error({ subscriber: s.name, flow: s.spec.flow, err }, 'the lag of a subscriber is not known')
}

/** Who reads at the broker is behind by what its own place there says, and by what its copy lacks. */
async function withReader(
  k: Kernel,
  s: Known,
  f: Resource<'Flow'>,
  fed: { events: number; ms: number },
  c: Call,
): Promise<{ events: number; ms: number } | undefined> {
  if ((s.status.mode ?? 'fnap') === 'fnap') return fed
  const queue = s.status.mode === 'copy' ? s.status.queue : f.status.queue
  if (queue === undefined) return undefined
  const consumers = await k.brokers.of(f).service.listConsumers(queue, c)
  // A login that was rotated out left its own place behind.
  const [own] = consumers
    .filter(x => x.name.includes(s.spec.id) || x.name.includes(s.uid))
    .sort((a, b) => (a.lag ?? 0) - (b.lag ?? 0))
  if (s.status.mode === 'direct') return own && { events: own.lag ?? 0, ms: own.behindMs ?? 0 }
  return { events: fed.events + (own?.lag ?? 0), ms: Math.max(fed.ms, own?.behindMs ?? 0) }
}

/** What a copy lacks as its feed saw it last: where it stood is a second old when the end of the source is not. */
function feedLag(k: Kernel, s: Known, f: Resource<'Flow'>): { events: number; ms: number } | undefined {
  if (s.status.mode !== 'copy') return undefined
  const seen = k.processors.status(feedOf(f))?.sinks?.[SUBSCRIBER + s.name]
  return seen?.behind === undefined ? undefined : { events: seen.behind, ms: seen.behindMs ?? 0 }
}

/** How far behind a subscriber is: from where it acknowledged last. */
async function lag(k: Kernel, s: Known): Promise<{ events: number; ms: number } | undefined> {
  const f = k.resources.get('Flow', s.spec.flow)
  // A broker that does not answer must not hold up who looks, and then cuts off.
  const c = { signal: signalAfter(2_000) }
  if (!f || s.spec.direction !== 'in' || (s.status.phase !== 'ready' && s.status.phase !== 'stopped')) return undefined
  const position = await k.positions.get(s.uid, c)
  if (!position) return undefined
  const wire = await k.brokers.open(f, c)
  try {
    const source = await wire.source({ reader: `lag-${s.uid}`, epoch: 0, from: { at: 'position', position } }, c)
    const { shards } = await source.lag(c)
    await source.close()
    const all = Object.values(shards)
    const fed = feedLag(k, s, f) ?? {
      events: all.reduce((n, x) => n + x.behind, 0),
      ms: Math.max(0, ...all.map(x => x.behindMs ?? 0)),
    }
    return await withReader(k, s, f, fed, c)
  } finally {
    await wire.close()
  }
}
