import { fnapError } from '@fnaa/protocol'
import type { Resource } from '../contract/store.js'
import { isTombstone } from '../federation/wish.js'
import {
  administrator,
  type Context,
  describe,
  ending,
  type Handler,
  item,
  list,
  patience,
  type Words,
} from './command.js'

const row = (cx: Context, p: Resource<'Peer'>) =>
  item(
    [
      ['peer', p.name],
      ['level', p.status.level],
      ['blocked', p.spec.blocked ?? false],
      ['suspended', p.status.suspended?.why],
      ['subscriptions', cx.kernel.resources.by('Subscriber', 'peer', p.name).filter(s => !isTombstone(s)).length],
    ],
    { keys: p.status.keys, suspension: p.status.suspended, address: p.status.address, quota: p.spec.quota },
  )

export const getPeers: Handler = {
  id: 'GET PEERS',
  run: (cx, command) => {
    administrator(cx)
    return list(
      cx.kernel.resources.list('Peer').map(p => row(cx, p)),
      command.options,
    )
  },
}

export const describePeer: Handler = {
  id: 'DESCRIBE PEER',
  run: (cx, command) => {
    administrator(cx)
    const p = cx.kernel.resources.get('Peer', (command.args as Words)['domain'])
    if (!p) throw fnapError('NOTFOUND', 'this agent has not met that domain')
    const { pairs, json } = row(cx, p)
    const theirs = cx.kernel.resources.by('Subscriber', 'peer', p.name).filter(s => s.spec.generation > 0)
    const subscribers = theirs.map(s => ({
      subscriber: s.spec.id,
      who: s.spec.for,
      flow: s.spec.flow,
      phase: s.status.phase,
      cut: s.status.cut,
      cause: s.spec.cause,
    }))
    return describe({ pairs, json: { ...(json as object), subscribers } }, command.options)
  },
}

/** BLOCKED yes cuts the domain off at once: sessions, subscribers, and its next login. */
export const updatePeer: Handler = {
  id: 'UPDATE PEER',
  run: async (cx, command) => {
    administrator(cx)
    const domain = (command.args as Words)['domain'] as string
    const o = command.options as Words
    const { resources, provider, sessions, config } = cx.kernel
    if (config.domains.includes(domain))
      throw fnapError(
        'BADVALUE',
        'domain is one of this agent; of its own users accounts are disabled, and rights revoked',
      )
    const change = {
      ...(o['blocked'] === undefined ? {} : { blocked: o['blocked'] as boolean }),
      ...(o['quota'] === undefined ? {} : { quota: o['quota'] }),
    }
    if (resources.get('Peer', domain))
      await resources.update('Peer', domain, p => ({ spec: { ...p.spec, ...change } }), ending(cx))
    else
      await resources.create(
        { kind: 'Peer', name: domain, spec: change, finalizers: [], status: { conditions: [] } },
        ending(cx),
      )
    if (o['trust'] !== undefined) {
      await cx.kernel.audit.write({ what: 'trust', who: cx.subject.principals[0]!, on: domain })
      await cx.kernel.pins.trust(domain, ending(cx))
    }
    const by = cx.subject.principals[0]!
    const signal = patience(cx)
    if (o['blocked'] !== undefined)
      await cx.kernel.audit.write({ what: o['blocked'] ? 'block' : 'unblock', who: by, on: domain })
    if (o['blocked'] === true) {
      const cause = { by, reason: 'the domain is blocked' }
      sessions.cut(s => s.identity?.type === 'domain' && s.identity.principal === domain)
      const flows = new Set(resources.by('Subscriber', 'peer', domain).map(s => s.spec.flow))
      await Promise.all([...flows].map(f => provider.enforce(f, cause, { ...cx.call, signal })))
    }
    if (o['blocked'] !== undefined) await cx.kernel.subscriptions.reconsider(domain, signal)
    return `220 OK ${domain}`
  },
}
