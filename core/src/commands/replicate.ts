import { randomBytes } from 'node:crypto'
import { fnapError, mintId } from '@fnaa/protocol'
import { originsOf } from '../federation/origins.js'
import { originOf } from '../names/names.js'
import { flow, type Handler, need, patience, timeout, user, type Words } from './command.js'
import { contractFrom } from './subscribe.js'

/** A Bridge between two flows of ours. Foreign names are subscribed, or published to, first. */
export const replicate: Handler = {
  id: 'REPLICATE',
  run: async (cx, command) => {
    const { kernel } = cx
    const a = command.args as Words
    const o = command.options as Words
    if (o['filter'] !== undefined) throw fnapError('NOTSUPPORTED', 'FILTER is not supported by this agent')
    const me = user(cx)
    const source = need(cx, 'read', flow(cx, [a['sources']].flat()[0]))
    const sink = need(cx, 'write', flow(cx, [a['sinks']].flat()[0]))
    if (originsOf(kernel.resources, source.name).includes(originOf(sink.name)))
      throw fnapError('LOOP', 'the events of the source come from the sink')
    kernel.quotas.processor(me)
    const type = kernel.processors.typeFor('REPLICATE')!
    const name = mintId(randomBytes(16))
    const spec = {
      type: type.type,
      owner: me,
      sources: [source.name],
      sinks: [sink.name],
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
}
