import { signalAfter } from '@fnaa/client'
import { type CommandFrom, type From, fnapError, jsonLine, parseNewName } from '@fnaa/protocol'
import type { Agreement } from '../federation/agreement.js'
import { newLocal } from '../federation/local-end.js'
import type { Mine } from '../federation/subscriptions.js'
import { aliasName, domainOf, isHost, namespaceOf, shown } from '../names/names.js'
import type { Result } from '../server/session.js'
import { type Context, flow, type Handler, need, patience, timeout, user, type Words } from './command.js'

/** A user's wish becomes a Subscription here; an agent's becomes a Subscriber. */
export const subscribe: Handler = {
  id: 'SUBSCRIBE',
  run: (cx, command) => {
    const o = command.options as Words
    const name = (command.args as Words)['flow'] as string
    return o['id'] === undefined ? byUser(cx, name, o) : byAgent(cx, name, 'in', o)
  },
}

async function byUser(cx: Context, source: string, o: Words): Promise<Result> {
  if (o['filter'] !== undefined) throw fnapError('NOTSUPPORTED', 'FILTER is not supported by this agent')
  const me = user(cx)
  const own = namespaceOf(cx.kernel.resources, source)
  const local = localOf(cx, source, o['local'] as string | undefined)
  const wish = {
    direction: 'in' as const,
    source,
    ...local,
    from: contractFrom(o['from'], 'latest'),
    mode: o['mode'] ?? 'auto',
    for: me,
    ...(o['reason'] === undefined ? {} : { reason: o['reason'] as string }),
  }
  if (local.local === source) throw fnapError('LOOP', 'a flow cannot be subscribed to itself')
  const s = await cx.kernel.subscriptions.wish(wish, cx.call)
  return settled(cx, s, own !== undefined)
}

/** LOCAL in a namespace here is that flow; outside our domains a private alias; without LOCAL, the flow's name in the caller's only namespace. */
function localOf(cx: Context, source: string, given: string | undefined): { local: string; alias: boolean } {
  const { aliases, resources, authorizer } = cx.kernel
  let name = given
  if (name === undefined) {
    const managed = authorizer.managed(cx.subject)
    if (managed.length !== 1)
      throw fnapError('BADVALUE', 'LOCAL is needed: you do not manage exactly one namespace here')
    const ns = namespaceOf(resources, source)?.name
    const label = ns === undefined ? source.slice(0, source.indexOf('.')) : source.slice(0, -ns.length - 1)
    name = `${label}.${managed[0]}`
  }
  const me = cx.subject.principals[0]!
  if (aliases.get(me, name)) return { local: aliasName(me, name), alias: true }
  const known = resources.get('Flow', name)
  if (known && authorizer.mayFlow(cx.subject, 'describe', known)) {
    need(cx, 'write', flow(cx, name, { alias: false }))
    return { local: name, alias: false }
  }
  // It is made, so what CREATE refuses is refused here too (hardening H15), of an alias as well.
  parseNewName(name, 'LOCAL')
  if (isHost(cx.kernel, name)) throw fnapError('CONFLICT', 'LOCAL is the name of an agent')
  // Inside our domains there is no alias: it would show which namespaces there are that the caller may not see.
  if (domainOf(cx.kernel.config.domains, name) === undefined) return { local: aliasName(me, name), alias: true }
  newLocal(cx, name)
  if (!known) cx.kernel.quotas.roomFor(name)
  return { local: flowOrNone(cx, name), alias: false }
}

/** Who manages the namespace but is barred from the flow may not feed it. */
function flowOrNone(cx: Context, name: string): string {
  if (cx.kernel.resources.get('Flow', name)) flow(cx, name, { alias: false })
  return name
}

/** Waits until events can pass (or the owner has been asked), and says so as the thesis does. */
export async function settled(cx: Context, s: Mine, own: boolean): Promise<Result> {
  const outcome = await cx.kernel.subscriptions.settled(s.name, patience(cx))
  if (!outcome) throw timeout(s.name, cx.kernel.resources.get('Subscription', s.name)?.status.error)
  if (outcome.phase === 'over') {
    await forget(cx, s)
    throw outcome.error
  }
  if (outcome.phase === 'pending') return `220 PENDING ${s.name} the owner has been asked`
  const endpoint = `${s.name}.${s.spec.source}`
  if (own) return { lines: [endpoint] }
  const word = s.spec.direction === 'in' ? 'SUBSCRIBED' : 'PUBLISHED'
  return { lines: [`${shown(s.spec.local)} ${word} TO ${endpoint}`] }
}

/** A wish that was refused from the start leaves nothing; what was agreed once stays and shows its error. */
async function forget(cx: Context, s: Mine): Promise<void> {
  const { resources } = cx.kernel
  const now = resources.get('Subscription', s.name)
  if (now?.status.phase !== 'failed') return
  const c = { signal: signalAfter(10_000) }
  await resources.delete('Subscription', s.name, c, s.uid)
  await resources.until('Subscription', s.name, n => (n && n.uid === s.uid ? undefined : true), c.signal)
}

/** Positions and cursors are no place to begin a subscription at. */
export function contractFrom(from: CommandFrom | undefined, fallback: 'latest' | 'earliest'): From {
  if (from === undefined) return { at: fallback }
  if (from.at === 'cursor' || from.at === 'position')
    throw fnapError('BADVALUE', 'FROM is earliest, latest or a time here')
  return from.at === 'time' ? { at: 'time', time: from.time } : { at: from.at }
}

export async function byAgent(cx: Context, name: string, direction: 'in' | 'out', o: Words): Promise<Result> {
  const who = cx.session.identity
  if (who?.type !== 'domain') throw fnapError('DENIED', 'ID is for agents only')
  const agreement = await cx.kernel.provider.agree(
    {
      flow: name,
      direction,
      id: o['id'],
      generation: o['gen'],
      peer: who.principal,
      for: (o['for'] as string | undefined) ?? who.principal,
      from: contractFrom(o['from'], 'latest'),
      mode: o['mode'] ?? 'auto',
      accept: o['accept'],
      rotate: o['rotate'] === true,
      ...(o['principal'] === undefined ? {} : { principal: o['principal'] }),
      ...(o['filter'] === undefined ? {} : { filter: o['filter'] }),
      ...(o['reason'] === undefined ? {} : { reason: o['reason'] }),
      ...(who.level ? { level: who.level } : {}),
      ...(who.key ? { key: `${who.key.selector}:${who.key.fingerprint}` } : {}),
    },
    patience(cx),
  )
  if (!agreement) return `220 PENDING ${o['id']} the owner has been asked`
  return agreementLines(agreement, o)
}

const agreementLines = (a: Agreement, o: Words): Result =>
  o['format'] === 'json' ? { lines: [jsonLine(a)], wide: true } : { lines: [a.endpoint] }
