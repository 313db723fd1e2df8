import { fnapError, parseEndpointName } from '@fnaa/protocol'
import type { Resource } from '../contract/store.js'
import { shown } from '../names/names.js'
import type { Result } from '../server/session.js'
import { type Context, describe, ending, type Handler, item, list, patience, timeout, type Words } from './command.js'
import { sinksOf } from './replicate.js'

const owns = (cx: Context, p: Resource<'Processor'>): boolean =>
  cx.subject.type === 'user' &&
  (p.spec.owner === cx.subject.principals[0] || cx.kernel.authorizer.isAdministrator(cx.subject))

function one(cx: Context, idOrEndpoint: string): Resource<'Processor'> {
  const id = parseEndpointName(idOrEndpoint)?.id ?? idOrEndpoint
  const p = cx.kernel.resources.get('Processor', id)
  if (!p || !owns(cx, p)) throw fnapError('NOTFOUND', 'there is no such processor of yours')
  return p
}

/** One that a subscription owns is steered through the subscription. */
function free(cx: Context, id: string): Resource<'Processor'> {
  const p = one(cx, id)
  if (p.owner !== undefined)
    throw fnapError(
      'CONFLICT',
      p.owner.kind === 'Flow'
        ? 'it feeds the copies of a flow, and goes when the last of its subscribers does'
        : 'a subscription owns the processor: use PAUSE, RESUME, STOP SUBSCRIPTION',
    )
  return p
}

const ends = (names: readonly string[]) => names.map(n => shown(n)).join(',')
const row = (cx: Context, p: Resource<'Processor'>) =>
  [
    ['processor', p.name],
    ['type', p.spec.type],
    ['phase', cx.kernel.processors.phaseOf(p.name) ?? p.status.phase ?? p.spec.desired],
    ['sources', ends(p.spec.sources)],
    ['sinks', ends(p.spec.sinks)],
    ['error', cx.kernel.processors.errorOf(p.name)],
  ] as const

export const getProcessors: Handler = {
  id: 'GET PROCESSORS',
  run: (cx, command) =>
    list(
      cx.kernel.resources
        .list('Processor')
        .filter(p => owns(cx, p))
        .map(p => item(row(cx, p))),
      command.options,
    ),
}

export const describeProcessor: Handler = {
  id: 'DESCRIBE PROCESSOR',
  run: (cx, command) => {
    const p = one(cx, (command.args as Words)['id'])
    const s = cx.kernel.processors.status(p.name)
    return describe(
      item(
        [
          ...row(cx, p),
          ['epoch', p.status.epoch],
          ['lag-events', s?.rates?.['behind']],
          ['lag-ms', s?.rates?.['behindMs']],
          ['rate', s?.rates?.['eventsPerSecond']],
          ['raw', s?.rates?.['raw']],
          ['rebatched', s?.rates?.['rebatched']],
          ['decoded', s?.rates?.['decoded']],
        ],
        { rates: s?.rates, owner: p.spec.owner, sink_status: s?.sinks },
      ),
      command.options,
    )
  },
}

async function steer(cx: Context, id: string, desired: 'run' | 'pause' | 'stop'): Promise<Result> {
  const p = free(cx, id)
  await cx.kernel.resources.update('Processor', p.name, n => ({ spec: { ...n.spec, desired } }), ending(cx))
  const want = desired === 'run' ? 'running' : desired === 'pause' ? 'paused' : 'stopped'
  const done = await cx.kernel.resources.until(
    'Processor',
    p.name,
    n => (!n || n.status.phase === want ? true : undefined),
    patience(cx),
  )
  if (!done) throw timeout(p.name)
  return `220 OK ${p.name}`
}

const steering = (verb: string, desired: 'run' | 'pause' | 'stop'): Handler => ({
  id: `${verb} PROCESSOR`,
  run: (cx, command) => steer(cx, (command.args as Words)['id'], desired),
})
export const processorSteering = [steering('PAUSE', 'pause'), steering('RESUME', 'run'), steering('STOP', 'stop')]

/** TO takes the place of all sinks; those that stay go on where they are. */
export const updateProcessor: Handler = {
  id: 'UPDATE PROCESSOR',
  run: async (cx, command) => {
    const o = command.options as Words
    const p = free(cx, (command.args as Words)['id'])
    for (const word of ['filter', 'rule'])
      if (o[word] !== undefined) throw fnapError('NOTSUPPORTED', `${word.toUpperCase()} is not supported by this agent`)
    if (o['to'] === undefined) return `220 OK ${p.name}`
    const type = cx.kernel.processors.types.find(t => t.type === p.spec.type)
    if (!type) throw fnapError('NOTSUPPORTED', 'the config has no processor plugin of its type')
    const sinks = sinksOf(cx, type.verbs[0]!, p.spec.sources[0]!, [o['to']].flat())
    await cx.kernel.resources.update('Processor', p.name, n => ({ spec: { ...n.spec, sinks } }), cx.call, p.uid)
    if (!(await cx.kernel.processors.applied(p.name, patience(cx)))) throw timeout(p.name)
    return `220 OK ${p.name}`
  },
}

export const deleteProcessor: Handler = {
  id: 'DELETE PROCESSOR',
  run: async (cx, command) => {
    const p = free(cx, (command.args as Words)['id'])
    await cx.kernel.processors.remove(p.name, { signal: patience(cx) })
    return `220 OK ${p.name}`
  },
}

/** From the manifests of what is loaded, and nothing else. */
export const getProcessorTypes: Handler = {
  id: 'GET PROCESSOR TYPES',
  run: (cx, command) => {
    const range = ([low, high]: readonly [number, number]) =>
      low === high ? String(low) : `${low}-${high >= 1000 ? 'n' : high}`
    return list(
      cx.kernel.processors.types.map(t =>
        item([
          ['processor-type', t.type],
          ['verbs', t.verbs.join(',')],
          ['sources', range(t.arity.sources)],
          ['sinks', range(t.arity.sinks)],
        ]),
      ),
      command.options,
    )
  },
}
