import { randomBytes } from 'node:crypto'
import { fnapError, mintId } from '@fnaa/protocol'
import { originsOf } from '../federation/origins.js'
import { originOf } from '../names/names.js'
import { type Context, flow, type Handler, need, patience, timeout, user, type Words } from './command.js'
import { contractFrom } from './subscribe.js'

/** Processors over flows of ours. Foreign names are subscribed, or published to, first. */
const moving = (verb: 'REPLICATE' | 'DISTRIBUTE'): Handler => ({
  id: verb,
  run: async (cx, command) => {
    const { kernel } = cx
    const a = command.args as Words
    const o = command.options as Words
    if (o['filter'] !== undefined) throw fnapError('NOTSUPPORTED', 'FILTER is not supported by this agent')
    const me = user(cx)
    const source = need(cx, 'read', flow(cx, [a['sources']].flat()[0]))
    const sinks = sinksOf(cx, verb, source.name, [a['sinks']].flat())
    kernel.quotas.processor(me)
    const name = mintId(randomBytes(16))
    const spec = {
      type: kernel.processors.typeFor(verb)!.type,
      owner: me,
      sources: [source.name],
      sinks,
      from: contractFrom(o['from'], 'latest'),
      config: null,
      runtime: kernel.processors.runtime ?? '',
      desired: 'run' as const,
    }
    await kernel.resources.create(
      { kind: 'Processor', name, spec, finalizers: ['fnaad/run'], status: { conditions: [], epoch: 0 } },
      cx.call,
    )
    const phase = await kernel.resources.until(
      'Processor',
      name,
      p =>
        !p || p.status.phase === 'running' || p.status.phase === 'failed'
          ? (p?.status ?? { phase: 'gone', error: '' })
          : undefined,
      patience(cx),
    )
    if (!phase) throw timeout(name)
    if (phase.phase !== 'running')
      throw fnapError('UNAVAILABLE', 'the processor could not start; DESCRIBE PROCESSOR says why')
    return `220 OK ${name}`
  },
})
export const movers = [moving('REPLICATE'), moving('DISTRIBUTE')]

/** The flows that it may write, each once, none of which feeds the source. @throws FnapError BADVALUE, LOOP, NOTFOUND, DENIED */
export function sinksOf(cx: Context, verb: string, source: string, names: readonly string[]): string[] {
  const { kernel } = cx
  const most = kernel.processors.typeFor(verb)?.arity.sinks[1] ?? 1
  if (names.length > most) throw fnapError('BADVALUE', `${verb} takes ${most} sinks at most`)
  const found = names.map(n => need(cx, 'write', flow(cx, n)).name)
  if (new Set(found).size < found.length) throw fnapError('BADVALUE', 'each sink is named once')
  const origins = originsOf(kernel.resources, source)
  if (found.some(n => origins.includes(originOf(n))))
    throw fnapError('LOOP', 'the events of the source come from a sink')
  return found
}
