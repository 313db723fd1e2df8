import { signalAfter } from '@fnaa/client'
import { type Command, fnapError, formatItem, formatLines, jsonLine, type Pairs } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Right } from '../contract/kinds.js'
import type { Resource } from '../contract/store.js'
import { type Subject, subjectOf } from '../grants/authorizer.js'
import type { Kernel } from '../kernel.js'
import { namespaceOf, namespacesAbove, UNSEEN } from '../names/names.js'
import type { Result, Session } from '../server/session.js'

/** One command of one session. */
export interface Context {
  readonly kernel: Kernel
  readonly session: Session
  readonly subject: Subject
  readonly call: Call
}
/** How one verb is done; one file each. */
export interface Handler {
  readonly id: string
  run(cx: Context, command: Command): Result | Promise<Result>
}
/** Options and arguments with the types that the grammar gave them. */
// biome-ignore lint/suspicious/noExplicitAny: the grammar has checked each value's type; a cast at every use would say no more
export type Words = Readonly<Record<string, any>>

/** Seconds that a command waits for its outcome (verbs). */
export const WAIT_MS = 30_000

export function context(kernel: Kernel, session: Session, command: Command): Context {
  const who = session.identity ?? { type: 'anonymous' as const, principal: 'anonymous' }
  const speaksFor = (command.options as Words)['for'] as string | undefined
  if (speaksFor !== undefined) {
    if (who.type !== 'domain') throw fnapError('SYNTAX', 'FOR is for agents only')
    if (speaksFor.slice(speaksFor.indexOf('@') + 1) !== who.principal) {
      throw fnapError('DENIED', 'FOR must name a user of the domain that has logged in')
    }
  }
  // A domain's is made anew each time: it may have been suspended meanwhile.
  if (who.type === 'domain') {
    const subject = subjectOf(who, speaksFor, kernel.pins.suspended(who.principal) !== undefined)
    return { kernel, session, subject, call: session.call }
  }
  if (session.identity) session.subject ??= subjectOf(who)
  return { kernel, session, subject: session.subject ?? subjectOf(who), call: session.call }
}

/** The principal that owns what the command makes: a user. */
export function user(cx: Context): string {
  if (cx.subject.type !== 'user') throw fnapError('DENIED', 'this is for users of this agent')
  return cx.subject.principals[0]!
}

/**
 * The flow of that name, where the caller may see it: a private alias of the caller's first, then an ordinary one.
 * What may not be seen answers as what does not exist.
 */
export function flow(cx: Context, name: string, opt: { alias?: boolean } = {}): Resource<'Flow'> {
  const found = seenFlow(cx, name, opt)
  if (!found) throw fnapError('NOTFOUND', UNSEEN)
  return found
}

/** The same, and undefined where there is none. */
export function seenFlow(cx: Context, name: string, opt: { alias?: boolean } = {}): Resource<'Flow'> | undefined {
  const { aliases, resources } = cx.kernel
  const own =
    opt.alias !== false && cx.subject.type === 'user' ? aliases.get(cx.subject.principals[0]!, name) : undefined
  const found = own ?? resources.get('Flow', name)
  if (!found || found.deleting !== undefined) return undefined
  return cx.kernel.authorizer.mayFlow(cx.subject, 'describe', found) ? found : undefined
}

export function need(cx: Context, right: Right, f: Resource<'Flow'>): Resource<'Flow'> {
  if (!cx.kernel.authorizer.mayFlow(cx.subject, right, f)) throw fnapError('DENIED', `this needs ${right} on the flow`)
  return f
}

/** The namespace of that name, where the caller may see it. */
export function namespace(cx: Context, name: string, right: Right): Resource<'Namespace'> {
  const found = cx.kernel.resources.get('Namespace', name)
  if (!found || !cx.kernel.authorizer.mayNamespace(cx.subject, 'describe', name)) {
    throw fnapError('NOTFOUND', 'there is no such namespace here, or it is not shown to you')
  }
  if (!cx.kernel.authorizer.mayNamespace(cx.subject, right, name)) {
    throw fnapError('DENIED', `this needs ${right} on the namespace`)
  }
  return found
}

/**
 * The namespace in which a new name would lie, where the caller manages it.
 * @throws FnapError DENIED where one that the caller may see is above the name, else NOTFOUND: a namespace that is not shown
 * changes neither
 */
export function managedNamespaceOf(
  cx: Pick<Context, 'kernel' | 'subject'>,
  name: string,
  what = 'the name',
): Resource<'Namespace'> {
  const { authorizer, resources } = cx.kernel
  const found = namespaceOf(resources, name)
  if (found && authorizer.mayNamespace(cx.subject, 'manage', found.name)) return found
  if (namespacesAbove(resources, name).some(n => authorizer.mayNamespace(cx.subject, 'describe', n.name)))
    throw fnapError('DENIED', `${what} needs manage on the namespace that it lies in`)
  throw fnapError('NOTFOUND', `${what} lies in no namespace of this agent, or in one that is not shown to you`)
}

export function administrator(cx: Context): void {
  if (!cx.kernel.authorizer.isAdministrator(cx.subject)) throw fnapError('DENIED', 'this is for administrators')
}

/** A signal that ends with the session or after the time that a command waits. */
export const patience = (cx: Context): AbortSignal => signalAfter(WAIT_MS, cx.call.signal)

/** For what takes something away: it is done however full the store is (hardening H9). */
export const ending = (cx: Context): Call => ({ ...cx.call, reserve: true })

/** @param error what stands in its way so far, as its status says */
export const timeout = (id: string, error?: string) =>
  fnapError('TIMEOUT', `${id} the work goes on; ${error ? `so far: ${error}` : 'ask again to see how it ended'}`)

export interface Item {
  /** The default text, in the order of verbs. */
  readonly pairs: Pairs
  /** All fields, for FORMAT JSON. */
  readonly json: unknown
}

/** A list: sorted by its first value, paged, as lines or as one line of JSON. */
export function list(items: readonly Item[], options: Words): Result {
  const first = (i: Item) => String(i.pairs[0]?.[1] ?? '')
  let page = [...items].sort((a, b) => (first(a) < first(b) ? -1 : 1))
  const after = options['after'] as string | undefined
  if (after !== undefined) page = page.filter(i => first(i) > after)
  const max = options['max'] as number | undefined
  if (max !== undefined) page = page.slice(0, max)
  if (options['format'] === 'json') return { lines: [jsonLine(page.map(i => i.json))], wide: true }
  return { lines: page.map(i => formatItem(i.pairs)) }
}

export function describe(item: Item, options: Words): Result {
  if (options['format'] === 'json') return { lines: [jsonLine(item.json)], wide: true }
  return { lines: formatLines(item.pairs) }
}

/** All pairs as an object: the JSON of a listing whose fields are its pairs. */
export const fields = (pairs: Pairs): Record<string, unknown> => {
  const out: Record<string, unknown> = {}
  for (const [k, v] of pairs) if (v !== undefined && v !== '') out[k] = v
  return out
}
export const item = (pairs: Pairs, more: Record<string, unknown> = {}): Item => ({
  pairs,
  // Made only where JSON is asked for.
  get json() {
    return { ...fields(pairs), ...more }
  },
})
