import type { Mine } from '../federation/subscriptions.js'
import type { Known } from '../federation/wish.js'
import type { Kernel } from '../kernel.js'
import { shown } from '../names/names.js'
import { type Item, item } from './command.js'

/** A subscription of ours, as GET shows it. */
export function mineItem(k: Kernel, s: Mine): Item {
  // Of a run that does not run, nobody measures.
  const run = k.processors.status(s.name)
  const rates = run?.phase === 'running' || run?.phase === 'paused' ? run.rates : undefined
  return item(
    [
      ['subscription', s.name],
      ['source', s.spec.source],
      ['local', shown(s.spec.local)],
      ['direction', s.spec.direction],
      ['mode', s.status.mode ?? s.spec.mode],
      ['phase', s.deleting === undefined ? s.status.phase : 'ending'],
      ['lag-events', rates?.['behind']],
      ['lag-ms', rates?.['behindMs']],
      ['gaps', s.status.gaps],
      ['reason', s.status.reason],
      ['error', errorOf(k, s)],
    ],
    { for: s.spec.for, peer: s.status.peer, endpoint: s.status.name },
  )
}

/** Why nothing passes: what asking the owner came to, or what its processor meets. */
const errorOf = (k: Kernel, s: Mine): string | undefined =>
  s.status.error ?? (s.spec.desired === 'stop' ? undefined : k.processors.errorOf(s.name))

/** The rest, as DESCRIBE shows it. */
export const minePairs = (s: Mine) =>
  [
    ['endpoint', s.status.name],
    ['from', s.spec.from.at === 'time' ? new Date(s.spec.from.time).toISOString() : s.spec.from.at],
    ['peer', s.status.peer],
    ['level', s.status.level],
    ['renew-by', s.status.renewBy],
    ['receipt', s.status.receipt],
  ] as const

/** Theirs, as the subscriber's agent sees its own domain's. */
export const theirItem = (s: Known): Item =>
  item(
    [
      ['subscription', s.spec.id],
      ['source', s.spec.flow],
      ['direction', s.spec.direction],
      ['mode', s.spec.mode],
      ['phase', s.status.phase],
    ],
    { for: s.spec.for, generation: s.spec.generation, cause: s.spec.cause },
  )
