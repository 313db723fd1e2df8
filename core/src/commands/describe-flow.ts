import { fnapError, formatLines, parseEndpointName } from '@fnaa/protocol'
import type { Resource } from '../contract/store.js'
import { isAlias, namespaceOf, shown, UNSEEN } from '../names/names.js'
import { publicEndpoint } from '../names/registrar.js'
import { condition } from '../resources/conditions.js'
import { dataReply, type Result } from '../server/session.js'
import { aboutPairs } from './about.js'
import { type Context, describe, type Handler, item, seenFlow, type Words } from './command.js'

/** Exactly four lines, in this order: clients of the author's kind count on them. */
export const describeFlow: Handler = {
  id: 'DESCRIBE FLOW',
  run: (cx, command) => {
    const name = (command.args as Words)['flow'] as string
    const { issued } = cx.session
    if (issued && issued.scope.name !== name) throw fnapError('DENIED', 'this credential is for one endpoint only')
    const endpoint = parseEndpointName(name)
    if (endpoint) return describeEndpoint(cx, name, endpoint.id, command.options)
    const f = seenFlow(cx, name)
    if (!f && cx.subject.type === 'user' && isElsewhere(cx, name))
      return cx.kernel.peers.relayDescribe(cx.subject.principals[0]!, name, command.options as Words, cx.call)
    if (!f) throw fnapError('NOTFOUND', UNSEEN)
    const o = command.options as Words
    if (!o['full'] && o['format'] !== 'json') return { reply: shortReply(cx, f) }
    return describe(item([...shortPairs(cx, f), ...fullPairs(f)], { about: f.spec.about }), o)
  },
}

/** Resources are immutable: a reply holds until its flow is another object. */
const replies = new WeakMap<Resource<'Flow'>, string>()

function shortReply(cx: Context, f: Resource<'Flow'>): string {
  const known = replies.get(f)
  if (known !== undefined) return known
  // One string and not a tree of its parts, which would be walked for each answer.
  const reply = Buffer.from(dataReply(formatLines(shortPairs(cx, f))), 'latin1').toString('latin1')
  replies.set(f, reply)
  return reply
}

function shortPairs(cx: Context, f: Resource<'Flow'>) {
  const { type, servers, topic } = publicEndpoint(f, cx.kernel.brokers.of(f), cx.kernel.registrar.agent)
  return [
    ['flow', shown(f.name)],
    ['type', type],
    ['topic', isAlias(f.name) && type === 'fnap' ? shown(f.name) : topic],
    ['server', servers.map(s => `${s.host}:${s.port}`).join(',')],
  ] as const
}

/** Neither an alias of the caller's nor in a namespace that the caller knows: what is hidden is asked for as what is not here. */
function isElsewhere(cx: Context, name: string): boolean {
  const { aliases, authorizer, resources } = cx.kernel
  const found = aliases.get(cx.subject.principals[0]!, name) ?? resources.get('Flow', name)
  if (found && authorizer.mayFlow(cx.subject, 'describe', found)) return false
  const ns = namespaceOf(resources, name)
  return !ns || !authorizer.knowsNamespace(cx.subject, ns.name)
}

/** As the option is written: the largest unit that holds it whole. */
function duration(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined
  const seconds = Math.round(ms / 1000)
  const [size, unit] = (
    [
      [86_400, 'd'],
      [3600, 'h'],
      [60, 'm'],
    ] as const
  ).find(([n]) => seconds % n === 0) ?? [1, 's']
  return `${seconds / size}${unit}`
}

function fullPairs(f: Resource<'Flow'>) {
  const ready = condition(f.status, 'Ready')
  return [
    ['namespace', f.spec.namespace],
    ['owner', f.spec.owner],
    ['broker', f.spec.broker],
    ['visibility', f.spec.visibility],
    ['requests', f.spec.requests],
    ['shards', f.spec.queue.shards ?? 1],
    ['retention', duration(f.spec.queue.retentionMs)],
    ['retention-bytes', f.spec.queue.retentionBytes],
    ['epoch', f.status.epoch],
    ['state', ready?.status === 'True' ? 'ready' : (ready?.reason ?? 'creating')],
    ['alias', isAlias(f.name) ? true : undefined],
    ...aboutPairs(f.spec.about),
  ] as const
}

/** `<id>.<flow>`: for its subscriber only, the session by its credential included. */
function describeEndpoint(cx: Context, name: string, id: string, options: Words): Result {
  const s = cx.kernel.resources.get('Subscriber', id)
  const own =
    s &&
    `${id}.${s.spec.flow}` === name &&
    (cx.subject.principals.includes(s.spec.peer) ||
      cx.subject.principals.includes(s.spec.for) ||
      cx.session.issued?.scope.key === s.uid)
  if (!own || s.status.endpoint === undefined || s.status.phase === 'gone' || s.status.phase === 'revoked') {
    throw fnapError('NOTFOUND', 'there is no such endpoint here, or it is not yours')
  }
  const pairs = [
    ['flow', name],
    ['type', s.status.endpoint.type],
    ['topic', s.status.endpoint.queue],
    ['server', s.status.endpoint.servers.join(',')],
  ] as const
  return describe(item(pairs), options)
}
