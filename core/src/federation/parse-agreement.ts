import { fnapError } from '@fnaa/protocol'
import type { Agreement } from './agreement.js'
import type { Mine } from './subscriptions.js'

/** Only what is understood is taken from a stranger's JSON. @throws FnapError REMOTE, which says what is wrong with it */
export function parseAgreement(lines: readonly string[], s: Mine): Agreement {
  const bad = (why: string) => fnapError('REMOTE', `the agent of that flow sent an agreement that ${why}`)
  let a: Agreement
  try {
    a = JSON.parse(lines[0] ?? '') as Agreement
  } catch (e) {
    throw fnapError('REMOTE', 'the agent of that flow sent an agreement that is no JSON', e)
  }
  if (a.endpoint !== `${s.name}.${s.spec.source}`) throw bad('is for another endpoint')
  if (typeof a.type !== 'string' || !Array.isArray(a.servers) || a.servers.length === 0) throw bad('names no server')
  if (!a.servers.every(x => typeof x === 'string' && /^[a-z0-9.-]{1,253}:\d{1,5}$/.test(x)))
    throw bad('names a server that is none')
  const { credential } = a
  if (
    credential ? typeof credential.mechanism !== 'string' || typeof credential.values !== 'object' : a.type === 'fnap'
  )
    throw bad('has no credential')
  if (a.reader !== undefined && !/^[A-Za-z0-9._-]{1,200}$/.test(a.reader)) throw bad('names a reader that is none')
  if (typeof (a.queue ?? '') !== 'string') throw bad('names no queue')
  if (typeof a.epoch !== 'string' || !Array.isArray(a.origins) || a.origins.length > 1000)
    throw bad('has no epoch or origins')
  const { shards } = a
  if (shards !== undefined && (!Number.isSafeInteger(shards) || shards < 1))
    throw bad('has a number of shards that is none')
  if (a.gaps !== undefined && (!Number.isSafeInteger(a.gaps) || a.gaps < 0))
    throw bad('has a number of gaps that is none')
  // An older agent does not say it.
  const mode = MODES.has(a.mode) ? a.mode : a.type === 'fnap' ? 'fnap' : 'direct'
  return { ...a, mode }
}

const MODES: ReadonlySet<string> = new Set(['copy', 'direct', 'fnap'])
