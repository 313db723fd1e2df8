import { type Reply, ReplyError } from '@fnaa/client'
import { identifyCommand } from '@fnaa/protocol'
import type { Context } from './context.js'
import { toCliError, usage } from './errors.js'
import { writeAll } from './run-write.js'
import { Session } from './session.js'
import { safe } from './text.js'

const NOT_HERE: ReadonlySet<string> = new Set(['AUTHENTICATE', 'QUIT', 'STARTTLS'])

/** `fnua api LINE`: the command as it stands, and the whole reply as the agent gave it. */
export async function runApi(cx: Context, words: readonly string[]): Promise<void> {
  const line = words.join(' ')
  const verb = identifyCommand(line)
  if (line === '') throw usage('a command of FNAP is needed', 'api')
  if (verb && NOT_HERE.has(verb.id)) throw usage(`${verb.id} is what fnua does by itself`, 'api')
  if (verb && /\bFORMAT +BATCH\b/i.test(line)) throw usage('frames are no text: use read or write with --format batch')
  const at = { ...(verb ? { verb: verb.id } : {}) }
  let session: Session | undefined
  try {
    session = await Session.open(cx, nameIn(line), { login: verb?.when !== 'any' })
    await run(cx, session, line, verb?.id)
  } catch (e) {
    cx.interrupt.throwIfAborted()
    cx.out.closed.throwIfAborted()
    if (e instanceof ReplyError) await cx.out.write(text(e.reply))
    throw toCliError(e, { ...at, ...(session ? { agent: session.flag } : {}) })
  } finally {
    await session?.close()
  }
}

async function run(cx: Context, session: Session, line: string, id: string | undefined): Promise<void> {
  if (id === 'WRITE FLOW') return writeAll(cx, session, line)
  if (id === 'READ FLOW') {
    await cx.out.write('220 DATA\n')
    for await (const event of await session.connection.readLines(line)) await cx.out.write(`${event}\n`)
    return cx.out.write('220 OK\n')
  }
  await cx.out.write(text(await session.command(line)))
}

/** The first word of the line that is a flow's or a namespace's name says which agent. */
function nameIn(line: string) {
  const name = line
    .split(/ +/)
    .slice(1)
    .find(word => /^(?:flow:\/\/)?[a-z0-9-]+(?:\.[a-z0-9-]+)+\.?$/i.test(word))
  const plain = name
    ?.toLowerCase()
    .replace(/^flow:\/\//, '')
    .replace(/\.$/, '')
  return plain === undefined ? { discover: false } : { name: plain, discover: true }
}

/** A reply as it was on the wire, as far as it was kept. */
function text(reply: Reply): string {
  const rest = [reply.symbol, reply.id, reply.text].filter(part => part !== undefined && part !== '').join(' ')
  const word = { ok: 'OK ', pending: 'PENDING ', bye: 'Bye ' }[reply.kind as 'ok'] ?? ''
  if (reply.kind !== 'data') return `${safe(`${reply.code} ${word}${rest}`.trim())}\n`
  return ['220 DATA', ...reply.lines, '220 OK'].map(l => `${safe(l)}\n`).join('')
}
