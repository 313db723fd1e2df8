import { fnapError, isFnapError } from '@fnaa/protocol'
import type { FlowSpec } from '../contract/kinds.js'
import { about } from './about.js'
import { flow, type Handler, need, patience, type Words } from './command.js'
import { ready } from './create-flow.js'
import { newOwner } from './names.js'

export const updateFlow: Handler = {
  id: 'UPDATE FLOW',
  run: async (cx, command) => {
    const { kernel } = cx
    const o = command.options as Words
    const f = need(cx, 'manage', flow(cx, (command.args as Words)['flow'], { alias: false }))
    const owner = newOwner(cx, o['owner'])
    if (o['shards'] !== undefined && o['shards'] < (f.spec.queue.shards ?? 1)) {
      throw fnapError('CONFLICT', 'SHARDS can only grow: events keep their order inside one')
    }
    const set = (s: FlowSpec): FlowSpec => ({
      ...s,
      owner: owner ?? s.owner,
      visibility: o['visibility'] ?? s.visibility,
      requests: o['requests'] ?? s.requests,
      onDelete: o['ondelete'] ?? o['onDelete'] ?? s.onDelete,
      queue: {
        ...s.queue,
        ...(o['shards'] === undefined ? {} : { shards: o['shards'] }),
        ...(o['retention'] === undefined ? {} : { retentionMs: o['retention'] }),
        ...(o['retentionBytes'] === undefined ? {} : { retentionBytes: o['retentionBytes'] }),
      },
      about: about(o, s.about),
    })
    await kernel.resources.update('Flow', f.name, now => ({ spec: set(now.spec) }), cx.call)
    // A narrower visibility, or another owner, ends what stood on it (hardening H7), whether its names can be written now or not.
    await kernel.provider.enforce(
      f.name,
      { by: cx.subject.principals[0]!, reason: 'visibility or owner changed' },
      { ...cx.call, signal: patience(cx) },
    )
    await ready(cx, f.name).catch(async e => {
      // What the broker does not let be changed stays as it was: other changes must not wait for it.
      if (isFnapError(e) && e.symbol === 'NOTSUPPORTED')
        await kernel.resources.update('Flow', f.name, now => ({ spec: { ...now.spec, queue: f.spec.queue } }), cx.call)
      throw e
    })
    return `220 OK ${f.name}`
  },
}
