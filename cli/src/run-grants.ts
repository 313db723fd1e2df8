import type { Reply } from '@fnaa/client'
import { type On, whoMatches } from '@fnaa/protocol'
import type { Context } from './context.js'
import { type Given, type Request, requestOf } from './line.js'
import { isDocument, type Row, rowsOf } from './output.js'
import { flowsIn, subscribersOf, withReceipts } from './receipts.js'
import { printReply, runWith, titleOf, withSession } from './run-verb.js'
import type { Session } from './session.js'
import type { CommandSpec } from './tree.js'

/** What visibility lets everybody do. */
const BY_VISIBILITY: Readonly<Record<string, readonly string[]>> = {
  public: ['describe', 'read', 'subscribe'],
  listed: ['describe'],
}

/** The rights of who is barred. */
const BARRED = 'none'

/** Owner, namespace and visibility of what a grant is on; grants of the namespace count for its flows. */
async function standing(session: Session, on: On): Promise<Row | undefined> {
  const noun = on.kind === 'Flow' ? `FLOW ${on.name} FULL` : `NAMESPACE ${on.name}`
  const reply = await session.look(`DESCRIBE ${noun}`)
  return reply && new Map(rowsOf(reply.lines).flatMap(row => [...row]))
}

/** GET GRANTS. Those of a flow are shown with its namespace's, and a note of what counts beside grants. */
export async function runGetGrants(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given, isDocument(cx.settings.output))
  cx.debug.say(titleOf(request))
  await withSession(cx, request, async session => {
    const reply = await session.command(request.line)
    const on = (request.options['on'] ?? request.args['on']) as On | undefined
    // A page is a page of one list.
    const paged = request.options['max'] !== undefined || request.options['after'] !== undefined
    if (on?.kind !== 'Flow' || paged) return printReply(cx, request, reply)
    const of = await standing(session, on)
    const ns = of?.get('namespace')
    const json = request.options['format'] === 'json' ? ' FORMAT JSON' : ''
    const more = ns === undefined ? undefined : await session.look(`GET GRANTS ON NAMESPACE ${ns}${json}`)
    await printReply(cx, request, more ? joined(reply, more, json !== '') : reply)
    if (ns !== undefined && !more) cx.note(`grants on the namespace ${ns} count here too; they are not shown to you`)
    if (of) cx.note(`owner ${of.get('owner')} and visibility ${of.get('visibility')} count beside grants`)
  })
}

function joined(a: Reply, b: Reply, json: boolean): Reply {
  if (!json) return { ...a, lines: [...a.lines, ...b.lines] }
  const all = [a, b].flatMap(r => JSON.parse(r.lines[0] ?? '[]') as unknown[])
  return { ...a, lines: [JSON.stringify(all)] }
}

/** REVOKE, the receipts of who was cut off by it, and a note of all that still gives `who` what was taken. */
export async function runRevoke(cx: Context, spec: CommandSpec, words: readonly string[], given: Given) {
  const request = requestOf(spec, words, given)
  await runWith(cx, request, async (session, run) => {
    const { on } = request.args as { on: On }
    const flows = on.kind === 'Flow' ? [on.name] : cx.settings.quiet ? [] : await flowsIn(session, on.name)
    await withReceipts(cx, async () => flows && subscribersOf(session, ...flows), run)
    if (!cx.settings.quiet) for (const note of await left(cx, session, request)) cx.note(note)
  })
}

async function left(cx: Context, session: Session, r: Request): Promise<string[]> {
  const { on, who, rights } = r.args as { on: On; who: string; rights: readonly string[] }
  const { still, unseen, of, kept, barred } = await byGrants(cx, session, { on, who, rights })
  const notes = [...still, ...unseen]
  if (kept !== undefined) notes.push(`${who} keeps ${kept} by the same grant`)
  const owner = of?.get('owner')
  if (owner !== undefined && whoMatches(who, owner)) notes.push(`${owner} owns ${on.name}, and still may all`)
  if (barred) notes.push(`${who} was removed before, and is barred from ${on.name}`)
  const open = (barred ? [] : rights).filter(right => BY_VISIBILITY[of?.get('visibility') ?? '']?.includes(right))
  if (open.length > 0) {
    const close = cx.typed(`fnua update flow ${on.name} --visibility private`)
    notes.push(`${who} still may ${open.join(', ')}: the flow is ${of?.get('visibility')}; to end it: ${close}`)
  }
  if (on.kind === 'Namespace') {
    const each = cx.typed('fnua get grants --on flow/NAME')
    notes.push(`what is granted on a single flow of ${on.name} still counts there: ${each}`)
  }
  return notes
}

interface Question {
  readonly on: On
  readonly who: string
  readonly rights: readonly string[]
}

/** The grants that give `who` any of the rights, on a flow and on its namespace, in words; and what else is known of it. */
export async function byGrants(cx: Context, session: Session, { on, who, rights }: Question) {
  const of = await standing(session, on)
  const ns = on.kind === 'Flow' ? of?.get('namespace') : undefined
  const places = [`${on.kind} ${on.name}`, ...(ns === undefined ? [] : [`Namespace ${ns}`])]
  const still: string[] = []
  const unseen: string[] = []
  let kept: string | undefined
  let barred = false
  for (const place of places) {
    const reply = await session.look(`GET GRANTS ON ${place}`)
    if (!reply) unseen.push(`a grant on the ${place.toLowerCase()} may still count: they are not shown to you`)
    for (const g of rowsOf(reply?.lines ?? [])) {
      const found = byGrant(g, place.toLowerCase(), who, rights, cx)
      still.push(...found)
      const [to, bars] = [g.get('to') ?? '', g.get('rights') === BARRED]
      if (bars && covers(to, who)) barred = true
      const same = to === who && !bars
      if (place === places[0] && found.length === 0 && same) kept = g.get('rights')
    }
  }
  return { still, unseen, of, kept, barred }
}

/** An agent that speaks for a user of its domain has the rights of both. */
const covers = (to: string, who: string): boolean => whoMatches(to, who) || to === who.slice(who.indexOf('@') + 1)

/** A grant that gives the same to `who`, or to some of them. */
function byGrant(g: Row, place: string, who: string, rights: readonly string[], cx: Context): string[] {
  const to = g.get('to') ?? ''
  const held = (g.get('rights') ?? '').split(',')
  const still = rights.filter(right => right === 'describe' || held.includes(right) || held.includes('manage'))
  const whole = covers(to, who)
  if (still.length === 0 || (!whole && !whoMatches(who, to))) return []
  const end = cx.typed(`fnua revoke ${held.join(',')} on ${place} from ${to}`)
  const by = `the grant of ${held.join(',')} to ${to} on ${place}`
  return [`${whole ? who : to} still may ${still.join(', ')}, by ${by}; to end it: ${end}`]
}
