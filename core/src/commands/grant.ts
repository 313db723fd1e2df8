import { randomBytes } from 'node:crypto'
import { fnapError, mintId, type On } from '@fnaa/protocol'
import type { Limits, Right } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import { takeUp } from '../grants/grant-controller.js'
import { iso } from '../resources/clock.js'
import { type Context, flow, type Handler, namespace, need, type Words } from './command.js'

/** The thing that a grant is on, where the caller manages it. */
export function managed(cx: Context, on: On): On {
  if (on.kind === 'Namespace') namespace(cx, on.name, 'manage')
  else need(cx, 'manage', flow(cx, on.name, { alias: false }))
  return on
}

/** The grant for exactly this who on this thing; there is at most one. */
export const grantTo = (cx: Context, on: On, to: string): Resource<'Grant'> | undefined =>
  cx.kernel.authorizer.grantsOn(on.kind, on.name).find(g => !g.spec.deny && g.spec.to === to)

export interface Gift {
  readonly on: On
  readonly to: string
  readonly rights: readonly Right[]
  readonly expires?: number
  readonly limits?: Limits | 'none'
  readonly request?: string
}

/**
 * GRANT again adds rights and replaces EXPIRES and LIMIT. Who may subscribe from now on, without an end, is not barred any more.
 * @throws FnapError BADVALUE, NOTFOUND where what it is on goes meanwhile
 */
export async function give(cx: Context, g: Gift): Promise<string> {
  const { resources, authorizer, clock } = cx.kernel
  const strong = g.rights.some(r => r === 'manage' || r === 'write')
  if (strong && (g.to === '*' || g.to === 'anonymous'))
    throw fnapError('BADVALUE', 'manage and write are never granted to * or anonymous')
  if (g.expires !== undefined && g.expires <= clock.now()) throw fnapError('BADVALUE', 'EXPIRES must lie ahead')
  const rest = {
    ...(g.expires === undefined ? {} : { expires: iso(g.expires) }),
    ...(g.limits === undefined || g.limits === 'none' ? {} : { limits: g.limits }),
    ...(g.request === undefined ? {} : { request: g.request }),
  }
  const given = await authorizer.changing(g.on, async () => {
    stands(cx, g.on)
    const known = grantTo(cx, g.on, g.to)
    const name = known?.name ?? mintId(randomBytes(16))
    if (known) {
      const rights = [...new Set([...known.spec.rights, ...g.rights])]
      await resources.update('Grant', name, n => ({ spec: { on: n.spec.on, to: n.spec.to, rights, ...rest } }), cx.call)
    } else {
      const spec = { on: g.on, to: g.to, rights: [...g.rights], ...rest }
      await resources.create({ kind: 'Grant', name, spec, finalizers: [], status: { conditions: [] } }, cx.call)
    }
    // Last: whoever dies in between has barred more than was meant, not less.
    const whole = g.expires === undefined && g.rights.some(r => r === 'subscribe' || r === 'manage')
    if (whole) await lift(cx, g)
    return name
  })
  takeUp(cx.kernel, g.on)
  return given
}

/** @throws FnapError NOTFOUND where it is gone, or going */
export function stands(cx: Context, on: On): void {
  const r = cx.kernel.resources.get(on.kind, on.name)
  if (!r || r.deleting !== undefined) throw fnapError('NOTFOUND', 'it is being deleted')
}

async function lift(cx: Context, { on, to }: Gift): Promise<void> {
  for (const bar of cx.kernel.authorizer.grantsOn(on.kind, on.name)) {
    if (bar.spec.deny && [to, `*@${to}`, to.replace(/^\*@/, '')].includes(bar.spec.to))
      await cx.kernel.resources.delete('Grant', bar.name, cx.call, bar.uid)
  }
}

export const grant: Handler = {
  id: 'GRANT',
  run: async (cx, command) => {
    const a = command.args as Words
    const o = command.options as Words
    const on = managed(cx, a['on'] as On)
    const name = await give(cx, { on, to: a['who'], rights: a['rights'], expires: o['expires'], limits: o['limit'] })
    await cx.kernel.audit.write({
      what: 'grant',
      who: cx.subject.principals[0]!,
      on: `${on.kind} ${on.name}`,
      detail: `${(a['rights'] as string[]).join(',')} to ${a['who']}`,
    })
    return `220 OK ${name}`
  },
}
