import { type Reply, ReplyError } from '@fnaa/client'
import { decodeValue } from '@fnaa/protocol'
import type { Context } from './context.js'
import { toCliError, type Whereabouts } from './errors.js'
import { type Given, type Request, requestOf } from './line.js'
import { document, firstValue, isDocument, names, objectOf, rowsOf, table } from './output.js'
import { foreignTo, type Names } from './select-agent.js'
import { Session } from './session.js'
import { safe } from './text.js'
import type { CommandSpec } from './tree.js'

/** Where a command's agent may be found: by the flow or namespace that it names, the sink of a processor first. */
export function namesOf(r: Request): Names {
  const { args, options } = r
  const on = (args['on'] ?? options['on']) as { name: string } | undefined
  const sinks = args['sinks'] as string[] | undefined
  const local = args['local'] ?? options['local']
  const own = local ?? sinks?.[0]
  const foreign = args['flow'] ?? args['namespace'] ?? args['name'] ?? args['parent'] ?? on?.name ?? args['target']
  const name = (own ?? foreign) as string | undefined
  // Who subscribes or publishes does it at an agent of his own: the owner of the flow is not that.
  const discover = !['SUBSCRIBE', 'PUBLISH', 'UNSUBSCRIBE'].includes(r.verb.id) && name !== undefined
  return name === undefined || !name.includes('.') ? { discover: false } : { name, discover }
}

/** Opens a session for a request, does the work, says good-bye, and turns what goes wrong into a CliError. */
export async function withSession<T>(
  cx: Context,
  r: Request,
  work: (session: Session) => Promise<T>,
  opt: { login?: boolean } = {},
): Promise<T> {
  const where = namesOf(r)
  const on = (r.args['on'] ?? r.options['on']) as { kind: string; name: string } | undefined
  let at: Whereabouts = {
    verb: r.verb.id,
    ...(where.name === undefined ? {} : { name: where.name }),
    ...(on && { on: `${on.kind.toLowerCase()}/${on.name}` }),
  }
  let session: Session | undefined
  try {
    session = await Session.open(cx, where, opt)
    const { entry } = session.located
    const foreign = entry && where.name !== undefined ? foreignTo(entry, cx.config, where.name) : undefined
    at = { ...at, agent: session.flag, ...(foreign === undefined ? {} : { foreign }) }
    return await work(session)
  } catch (e) {
    cx.interrupt.throwIfAborted()
    cx.out.closed.throwIfAborted()
    throw toCliError(e, session && liesNowhere(e) ? { ...at, namespaces: await namespacesAt(session) } : at)
  } finally {
    if (cx.out.closed.aborted) session?.connection.destroy()
    await session?.close()
  }
}

/** A new name lies in no namespace of the agent: those that there are say where it could. */
const liesNowhere = (e: unknown): boolean =>
  e instanceof ReplyError && e.reply.symbol === 'NOTFOUND' && e.reply.text.includes('lies in no namespace')

async function namespacesAt(session: Session): Promise<string[]> {
  const reply = await session.look('GET NAMESPACES').catch(() => undefined)
  return rowsOf(reply?.lines ?? []).map(firstValue)
}

/**
 * Runs one command of the table whose reply is not all that is printed.
 * @param work calls `run`, which says the command and prints its reply; in a document with what `more` gives then
 */
export async function runWith(
  cx: Context,
  request: Request,
  work: (session: Session, run: Run) => Promise<void>,
): Promise<void> {
  cx.debug.say(titleOf(request))
  await withSession(cx, request, session =>
    work(session, async more => {
      const reply = await session.command(request.line)
      await printReply(cx, request, reply, await more?.())
    }),
  )
}

/** Says a command and prints its reply. */
export type Run = (more?: () => Promise<object>) => Promise<void>

/** Runs one command of the table and prints its reply. */
export async function runVerb(cx: Context, spec: CommandSpec, words: readonly string[], given: Given): Promise<void> {
  const request = requestOf(spec, words, given, isDocument(cx.settings.output))
  cx.debug.say(titleOf(request))
  await withSession(
    cx,
    request,
    async session => {
      const reply = await session.command(request.line)
      await printReply(cx, request, reply)
    },
    { login: spec.verb.when !== 'any' },
  )
}

/** `Create flow`, as the thesis's client announces what it is about to do. */
export function titleOf(r: Request): string {
  const text = r.verb.id.toLowerCase()
  return r.verb.id === 'SUBSCRIBE' ? 'Subscribe to flow' : `${text[0]?.toUpperCase()}${text.slice(1)}`
}

/** Prints a reply in the format that was asked for. @param more what a document of something done has besides */
export async function printReply(cx: Context, r: Request, reply: Reply, more: object = {}): Promise<void> {
  if (reply.kind === 'data') return printData(cx, r, reply.lines)
  if (reply.kind === 'pending') return printPending(cx, reply.id ?? '')
  await printDone(cx, r, reply.text, more)
}

async function printData(cx: Context, r: Request, lines: readonly string[]): Promise<void> {
  const { output } = cx.settings
  const id = r.verb.id
  if (isDocument(output)) {
    const value = r.options['format'] === 'json' ? JSON.parse(lines[0] ?? 'null') : objectOf(lines)
    return cx.out.write(await document(value, output))
  }
  if (id.startsWith('GET ')) {
    const rows = rowsOf(lines)
    if (rows.length === 0) cx.note(`no ${id.slice(4).toLowerCase()}`)
    return cx.out.write(output === 'name' ? names(rows.map(firstValue)) : table(rows))
  }
  if (output === 'name') return cx.out.write(names([lines[0]?.split('=').slice(1).join('=') || (lines[0] ?? '')]))
  const described = id.startsWith('DESCRIBE ') ? subjectOf(r) : null
  if (described) cx.debug.say(`${described} description:`)
  await cx.out.write(lines.map(line => `${safe(plain(line))}\n`).join(''))
  if (described) cx.debug.say(`${described} described successfully`)
}

/** A `key=value` line with its value decoded: a person reads it, and there is one a line. */
function plain(line: string): string {
  const equals = line.indexOf('=')
  return equals > 0 && !line.includes(' ') ? `${line.slice(0, equals)}=${decodeValue(line.slice(equals + 1))}` : line
}

/** `Flow time.flows.unix.test`. */
function subjectOf(r: Request): string {
  const noun = (r.verb.id.split(' ')[1] ?? '').toLowerCase()
  return `${noun[0]?.toUpperCase()}${noun.slice(1)} ${String(Object.values(r.args)[0])}`
}

/** A subscription that waits for its owner. */
export async function printPending(cx: Context, id: string): Promise<void> {
  const { output } = cx.settings
  if (isDocument(output)) await cx.out.write(await document({ subscription: id, phase: 'pending' }, output))
  else await cx.out.write(output === 'name' ? `${id}\n` : `${id} PENDING\n`)
  cx.note(`the owner of the flow has been asked; what came of it: ${cx.typed(`fnua describe subscription ${id}`)}`)
}

/** What is said of a command that was done: the verb's participle, where a flow was meant its name. */
const DONE: ReadonlyMap<string, string> = new Map([
  ['APPROVE', 'approved'],
  ['CREATE', 'created'],
  ['DELETE', 'deleted'],
  ['DENY', 'denied'],
  ['GRANT', 'granted'],
  ['NOTIFY', 'notified'],
  ['PAUSE', 'paused'],
  ['REMOVE', 'removed'],
  ['RESUME', 'resumed'],
  ['REVOKE', 'revoked'],
  ['STOP', 'stopped'],
  ['UNSUBSCRIBE', 'ended'],
  ['UPDATE', 'updated'],
])
const NOUNS: ReadonlyMap<string, string> = new Map([
  ['APPROVE', 'request'],
  ['COLLECT', 'processor'],
  ['DENY', 'request'],
  ['DISTRIBUTE', 'processor'],
  ['GRANT', 'grant'],
  ['NOTIFY', 'subscription'],
  ['REPLICATE', 'processor'],
  ['REVOKE', 'grant'],
  ['SIGNAL', 'processor'],
  ['UNSUBSCRIBE', 'subscription'],
])

async function printDone(cx: Context, r: Request, text: string, more: object): Promise<void> {
  const [verb = '', second] = r.verb.id.split(' ')
  const noun = second?.toLowerCase() ?? NOUNS.get(verb)
  if (noun === undefined) return printWord(cx, verb.toLowerCase(), text)
  // `220 OK` without a name: there was nothing to end.
  if (verb === 'UNSUBSCRIBE' && text === '')
    return printState(cx, noun, String(r.args['target'] ?? ''), 'nothing to end')
  return printState(cx, noun, text, DONE.get(verb) ?? 'running', more)
}

async function printState(cx: Context, noun: string, text: string, done: string, more: object = {}): Promise<void> {
  const { output } = cx.settings
  if (isDocument(output)) return cx.out.write(await document({ kind: noun, name: text, state: done, ...more }, output))
  await cx.out.write(output === 'name' ? names([text]) : `${noun}/${safe(text)} ${done}\n`)
}

/** WHOAMI and NOOP. */
async function printWord(cx: Context, verb: string, text: string): Promise<void> {
  const { output } = cx.settings
  if (isDocument(output)) await cx.out.write(await document({ [verb]: text === '' ? 'ok' : text }, output))
  else await cx.out.write(`${text === '' ? 'ok' : safe(text)}\n`)
}
