import { createHash } from 'node:crypto'
import { fnapError, formatLines, mintId } from '@fnaa/protocol'
import type { Resource } from '../contract/store.js'
import { keeps, knownWaysIn } from '../federation/serving.js'
import { endAccess } from '../grants/access-controller.js'
import { isAlias, shown } from '../names/names.js'
import { isTrue } from '../resources/conditions.js'
import {
  type Context,
  flow,
  type Handler,
  item,
  list,
  need,
  patience,
  seenFlow,
  timeout,
  user,
  type Words,
} from './command.js'

/** The way in at the broker itself, for a user's own application: the same again until ROTATE. */
export const accessFlow: Handler = {
  id: 'ACCESS FLOW',
  run: async (cx, command) => {
    const { kernel } = cx
    const args = command.args as Words
    const o = command.options as Words
    const me = user(cx)
    const right = args['right'] as 'read' | 'write'
    const f = need(cx, right, flow(cx, args['flow']))
    if (!knownWaysIn(kernel.brokers.of(f)).includes('issued'))
      throw fnapError('NOTSUPPORTED', 'the broker of the flow lets nobody in: use READ and WRITE')
    if (!keeps(kernel.brokers.of(f), kernel.authorizer.limits(cx.subject, f)))
      throw fnapError('NOTSUPPORTED', 'a LIMIT holds for you, which only the agent keeps: use READ and WRITE')
    const label = (o['as'] as string | undefined) ?? right
    const name = await wanted(cx, f, { who: me, label, right }, o['rotate'] === true)
    const ready = await kernel.resources.until(
      'Access',
      name,
      a => (!a || a.deleting !== undefined || isTrue(a.status, 'Ready', a.generation) ? { a } : undefined),
      patience(cx),
    )
    if (!ready) throw timeout(label)
    const given = ready.a && (await kernel.access.of(ready.a.uid, cx.call))
    if (!given) throw fnapError('GONE', 'the access was ended meanwhile')
    await kernel.audit.write({ what: 'access', who: me, on: f.name, detail: `${right} as ${label}` })
    const { endpoint, credential } = given
    return {
      lines: formatLines([
        ['flow', shown(f.name)],
        ['type', endpoint.type],
        ['topic', endpoint.queue],
        ['server', endpoint.servers.join(',')],
        ['mechanism', credential?.mechanism],
        ['user', credential?.values['user']],
        ['password', credential?.values['password']],
      ]),
    }
  },
}

type Spec = Pick<Resource<'Access'>['spec'], 'who' | 'label' | 'right'>

/** One for each user, flow and label. @returns its name @throws FnapError CONFLICT, BUSY, QUOTA */
async function wanted(cx: Context, f: Resource<'Flow'>, w: Spec, rotate: boolean): Promise<string> {
  const { resources, quotas } = cx.kernel
  const name = mintId(createHash('sha256').update(`${w.who}\n${f.uid}\n${w.label}`).digest().subarray(0, 16))
  const known = resources.get('Access', name)
  if (known?.deleting !== undefined) throw fnapError('BUSY', 'the access of that label is being ended')
  if (known && known.spec.right !== w.right)
    throw fnapError(
      'CONFLICT',
      'AS: you have an access of that label with the other right; REMOVE ACCESS it, or take another',
    )
  if (known) {
    if (rotate) {
      await resources.update('Access', name, n => ({ spec: { ...n.spec, turn: n.spec.turn + 1 } }), cx.call, known.uid)
      await cx.kernel.audit.write({ what: 'rotate', who: w.who, on: f.name, detail: `access ${w.label}` })
    }
    return name
  }
  quotas.access(w.who)
  const spec = { flow: f.name, ...w, turn: 0 }
  const made = { kind: 'Access', name, spec, finalizers: ['fnaad/access'], status: { conditions: [] } } as const
  await resources.create(made, cx.call).catch(e => {
    // Two at once: the other one made it.
    if ((e as { code?: string }).code !== 'FNA_ERR_EXISTS') throw e
  })
  return name
}

export const getAccess: Handler = {
  id: 'GET ACCESS',
  run: (cx, command) => {
    const me = cx.subject.principals[0]!
    const name = (command.args as Words)['flow'] as string | undefined
    // Who manages a flow sees everybody's: they read it without the agent, and stand in no other list.
    const f = name === undefined ? undefined : seenFlow(cx, name)
    const managed = f !== undefined && cx.kernel.authorizer.mayFlow(cx.subject, 'manage', f)
    const found = managed
      ? cx.kernel.resources.by('Access', 'flow', f.name)
      : cx.kernel.resources.by('Access', 'who', me).filter(a => name === undefined || isOf(a, name))
    if (name !== undefined && !f && found.length === 0) flow(cx, name)
    return list(
      found.map(a =>
        item([
          ['access', a.spec.label],
          ['flow', shown(a.spec.flow)],
          ['right', a.spec.right],
          ['who', managed ? a.spec.who : undefined],
        ]),
      ),
      command.options,
    )
  },
}

/** Answers when it is cut, with what is open. */
export const removeAccess: Handler = {
  id: 'REMOVE ACCESS',
  run: async (cx, command) => {
    const { flow: name, label } = command.args as Words
    const mine = cx.kernel.resources
      .by('Access', 'who', cx.subject.principals[0]!)
      .find(a => isOf(a, name) && a.spec.label === label)
    if (!mine) throw fnapError('NOTFOUND', 'you have no access of that label to the flow')
    if (!(await endAccess(cx.kernel, mine, { signal: patience(cx) }))) throw timeout(label)
    return `220 OK ${label}`
  },
}

const isOf = (a: Resource<'Access'>, name: string): boolean =>
  a.spec.flow === name || (isAlias(a.spec.flow) && shown(a.spec.flow) === name)
