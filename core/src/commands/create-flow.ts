import { signalAfter } from '@fnaa/client'
import { isFnapError } from '@fnaa/protocol'
import type { FlowSpec } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import { aliasOf, isAlias, isHost } from '../names/names.js'
import { condition, isTrue, same } from '../resources/conditions.js'
import { step } from '../resources/steps.js'
import { about } from './about.js'
import {
  type Context,
  ending,
  type Handler,
  managedNamespaceOf,
  patience,
  timeout,
  user,
  type Words,
} from './command.js'
import { fnapError, isEndpointLike } from './names.js'

const WEEK_MS = 604_800_000

/** Writes the intent and waits for the controller: queue, then names. */
export const createFlow: Handler = {
  id: 'CREATE FLOW',
  run: async (cx, command) => {
    const { kernel } = cx
    const name = (command.args as Words)['flow'] as string
    const ns = managedNamespaceOf(cx, name)
    isEndpointLike(name)
    if (isHost(kernel, name)) throw fnapError('CONFLICT', 'that is the name of an agent')
    if (kernel.resources.get('Namespace', name)) throw fnapError('CONFLICT', 'a namespace has that name')
    const spec = specOf(cx, ns, command.options)
    const broker = kernel.brokers.operated.get(spec.broker)
    if (!broker) throw fnapError('BADVALUE', 'BROKER must name one of GET BROKERS')
    if (spec.adopt !== undefined && !kernel.authorizer.isAdministrator(cx.subject)) {
      throw fnapError('DENIED', 'TOPIC needs manage on the broker: it is for administrators')
    }
    await make(cx, name, spec)
    return `220 OK ${name}`
  },
}

function specOf(cx: Context, ns: Resource<'Namespace'>, o: Words): FlowSpec {
  const adopt = o['topic'] as string | undefined
  const bytes = o['retentionBytes'] as number | undefined
  return {
    namespace: ns.name,
    owner: user(cx),
    broker: o['broker'] ?? ns.spec.broker,
    ...(adopt === undefined ? {} : { adopt }),
    queue: {
      shards: o['shards'] ?? 1,
      retentionMs: o['retention'] ?? WEEK_MS,
      ...(bytes === undefined ? {} : { retentionBytes: bytes }),
    },
    visibility: o['visibility'] ?? 'private',
    requests: o['requests'] ?? false,
    onDelete: o['ondelete'] ?? o['onDelete'] ?? (adopt === undefined ? 'delete' : 'retain'),
    about: about(o),
  }
}

async function make(cx: Context, name: string, spec: FlowSpec): Promise<void> {
  const { resources, quotas } = cx.kernel
  const existing = resources.get('Flow', name)
  if (existing?.deleting !== undefined) throw fnapError('BUSY', 'the flow of that name is being deleted')
  // While the work goes on the same command joins it; afterwards the name is taken.
  if (existing && (isTrue(existing.status, 'Ready') || !same(existing.spec, spec))) {
    throw fnapError('EXISTS', 'there is a flow of that name')
  }
  if (!existing) {
    await quotas.flow(name, () => {
      endAliases(cx, name)
      const status = { conditions: [] }
      return resources.create({ kind: 'Flow', name, spec, finalizers: ['fnaad/queue'], status }, cx.call)
    })
    step('flow.create.stored')
  }
  await ready(cx, name).catch(async e => {
    if (isFnapError(e) && OVER.has(e.symbol)) await resources.delete('Flow', name, ending(cx))
    throw e
  })
}

/** Answers after which a flow that was to be made is none. */
const OVER: ReadonlySet<string> = new Set(['EXISTS', 'NOTFOUND', 'NOTSUPPORTED'])
/** Conditions that end the wait. */
const REFUSALS: ReadonlySet<string | undefined> = new Set([
  'QueueExists',
  'QueueAbsent',
  'QueueRefused',
  'NameExists',
  'NameServerUnavailable',
  'NameServerRefuses',
])

/** Waits until a flow's queue and names exist. @throws FnapError EXISTS, NOTFOUND, NOTSUPPORTED (the broker refuses it), UNAVAILABLE, TIMEOUT */
export async function ready(cx: Context, name: string): Promise<void> {
  const { resources } = cx.kernel
  const outcome = await resources.until(
    'Flow',
    name,
    f => {
      if (!f) return { failed: 'gone' }
      if (isTrue(f.status, 'Ready', f.generation)) return {}
      const c = condition(f.status, 'Ready')
      return c?.status === 'False' && c.generation === f.generation && REFUSALS.has(c.reason)
        ? { failed: c.reason }
        : undefined
    },
    patience(cx),
  )
  if (!outcome) throw timeout(name)
  if (outcome.failed === undefined) return
  // The flow stands, and gets its names when the name server takes them.
  if (outcome.failed === 'NameServerUnavailable')
    throw fnapError(
      'UNAVAILABLE',
      `the name server does not take the names of ${name} now; they are written as soon as it does`,
    )
  if (outcome.failed === 'NameServerRefuses')
    throw fnapError('INTERNAL', `the name server refuses the names of ${name}; the log of the agent says why`)
  if (outcome.failed === 'NameExists')
    throw fnapError('EXISTS', 'that name stands in DNS already and was not made here: remove it there, or take another')
  if (outcome.failed === 'QueueRefused')
    throw fnapError(
      'NOTSUPPORTED',
      "the broker refuses the queue, or its settings: the agent's log says why; TOPIC adopts one that was made by hand",
    )
  if (outcome.failed === 'QueueExists') {
    throw fnapError('EXISTS', 'the broker has a queue of that name; TOPIC adopts an existing one')
  }
  throw fnapError('NOTFOUND', 'the broker has no queue as TOPIC names it')
}

/** A flow of that name ends the private aliases for it (hardening H11). */
function endAliases(cx: Context, name: string): void {
  for (const f of cx.kernel.resources.list('Flow')) {
    if (!isAlias(f.name) || aliasOf(f.name) !== name) continue
    // Not on the session's signal: it may go, the aliases must.
    const c = { signal: signalAfter(60_000) }
    const failed = (err: unknown) => cx.kernel.log.error({ flow: f.name, err }, 'an alias was not ended')
    for (const s of cx.kernel.resources.by('Subscription', 'local', f.name))
      cx.kernel.resources.delete('Subscription', s.name, c).catch(failed)
    cx.kernel.resources.delete('Flow', f.name, c).catch(failed)
  }
}
