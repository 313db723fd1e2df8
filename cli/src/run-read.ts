import type { LineStream } from '@fnaa/client'
import { brokeOff } from './broke-off.js'
import type { Context } from './context.js'
import { type Given, type Request, requestOf } from './line.js'
import { readBatches } from './run-batches.js'
import { titleOf, withSession } from './run-verb.js'
import type { Session } from './session.js'
import type { Output } from './settings.js'
import { safe, safeJson, safeYaml } from './text.js'
import type { CommandSpec } from './tree.js'

/** Events gathered before they are written to a pipe: fewer system calls, no delay, since it stops with the input. */
const CHUNK = 32 * 1024
/** How long an agent may take to end a READ that was asked to. */
const PATIENCE_MS = 2000

/** READ: events as they come, CloudEvents one a line in a pipe, readable lines on a terminal. */
export async function runRead(cx: Context, spec: CommandSpec, words: readonly string[], given: Given): Promise<void> {
  const request = requestOf(spec, words, given)
  cx.debug.say(titleOf(request))
  await withSession(cx, request, async session => {
    cx.debug.say(`Executing command ${request.line}`)
    const batches = request.options['format'] === 'batch'
    const work = batches
      ? readBatches(cx, session, request, given['position'] as string)
      : readEvents(cx, session, request)
    await work.catch(async e => {
      throw await brokeOff(cx, session, request.args['flow'] as string, e)
    })
  })
}

async function readEvents(cx: Context, session: Session, request: Request): Promise<void> {
  const lines = await session.connection.readLines(request.line)
  // A READ that follows can be asked to end; one that does not goes on to its end, so only the connection can.
  const stop = () => {
    if (request.options['follow'] !== true) return session.connection.destroy()
    void lines.stop().catch(() => undefined)
    setTimeout(() => session.connection.destroy(), PATIENCE_MS).unref()
  }
  cx.interrupt.addEventListener('abort', stop, { once: true })
  cx.out.closed.addEventListener('abort', stop, { once: true })
  await print(cx, lines)
}

/** Pulls lines while whoever reads our output takes them. */
async function print(cx: Context, lines: LineStream): Promise<void> {
  const format = formatter(cx)
  let held = ''
  const write = async () => {
    const text = held
    held = ''
    if (text !== '') await cx.out.write(text)
  }
  for (let next = lines.next(); ; next = lines.next()) {
    if (!(await soon(next))) await write()
    const { done, value } = await next
    if (done) break
    const text = format(value)
    held += typeof text === 'string' ? text : await text
    if (held.length >= CHUNK) await write()
  }
  await write()
  // What follows on the connection tells the agent that these events have arrived: a cursor moves.
  await cx.out.flush()
  cx.interrupt.throwIfAborted()
  cx.out.closed.throwIfAborted()
}

/** Is the next line here already, without waiting for the network? */
function soon(next: Promise<unknown>): Promise<boolean> {
  return Promise.race([
    next.then(
      () => true,
      () => true,
    ),
    new Promise<false>(resolve => setImmediate(resolve, false)),
  ])
}

/** A line of READ as it is printed. */
function formatter(cx: Context): (line: string) => string | Promise<string> {
  const output: Output = cx.settings.output ?? (cx.out.terminal ? 'table' : 'json')
  if (output === 'json') return line => `${safeJson(line)}\n`
  if (output === 'name') return line => `${safe(String(parse(line)['id'] ?? ''))}\n`
  if (output === 'table') return readable
  return async line => `---\n${await safeYaml(parse(line))}`
}

const parse = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>

/** Time, key and data of an event, for a person. */
export function readable(line: string): string {
  const event = parse(line)
  const time = typeof event['time'] === 'string' ? event['time'] : ''
  const key = typeof event['partitionkey'] === 'string' ? `  ${event['partitionkey']}` : ''
  const data = event['data'] ?? event['data_base64']
  const text = typeof data === 'string' ? data : JSON.stringify(data ?? null)
  return `${safe(`${time}${key}  ${text}`)}\n`
}
