import type { Reply } from '@fnaa/client'
import { errorKind, parseItem } from '@fnaa/protocol'
import type { Context } from './context.js'
import { CliError, EXIT, exitOfReply } from './errors.js'
import { type Given, type Request, requestOf, withOptions } from './line.js'
import { document, isDocument } from './output.js'
import { namesOf, printPending, titleOf, withSession } from './run-verb.js'
import { selectAgent } from './select-agent.js'
import type { Session } from './session.js'
import { safe } from './text.js'
import type { CommandSpec } from './tree.js'
import { pause } from './wait.js'

const POLL_MS = 1000

/**
 * SUBSCRIBE and PUBLISH. Without `--local`, LOCAL is the selected agent's `prefix` and the flow's name, as in the
 * thesis; an agent without prefix decides itself. `--wait` waits while the owner has not answered.
 */
export async function runSubscribe(
  cx: Context,
  spec: CommandSpec,
  words: readonly string[],
  given: Given,
): Promise<void> {
  let request = requestOf(spec, words, given)
  cx.debug.say(titleOf(request))
  const selection = selectAgent(cx.settings, cx.config, namesOf(request))
  const prefix = selection.how === 'entry' ? selection.entry.prefix : undefined
  const local = request.options['local']
  if (
    spec.verb.id === 'SUBSCRIBE' &&
    local === undefined &&
    prefix !== undefined &&
    request.options['id'] === undefined
  ) {
    request = withOptions(request, { local: `${prefix}${request.args['flow']}` })
  }
  await withSession(cx, request, async session => {
    const reply = await session.command(request.line)
    if (reply.kind !== 'pending') return printSubscribed(cx, request, reply)
    await printPending(cx, reply.id ?? '')
    if (given['wait'] === true) await printSubscribed(cx, request, await decided(cx, session, request, reply.id ?? ''))
  })
}

async function printSubscribed(cx: Context, r: Request, reply: Reply): Promise<void> {
  const { output } = cx.settings
  const [line = ''] = reply.lines
  // `<local> SUBSCRIBED TO <endpoint>` where the flow is a stranger's, `<endpoint>` where it is the agent's own.
  const words = line.split(' ')
  const endpoint = words[words.length - 1] as string
  const local =
    words.length > 1 ? (words[0] as string) : ((r.options['local'] ?? r.args['local']) as string | undefined)
  if (r.options['format'] === 'json') return cx.out.write(`${line}\n`)
  cx.debug.say(`Flow ${local ?? r.args['flow']} subscription created successfully`)
  cx.debug.say(`Server responded: ${line}`)
  const subscription = endpoint.split('.')[0] as string
  const value = { subscription, ...(local === undefined ? {} : { local }), source: r.args['flow'], endpoint }
  if (isDocument(output)) await cx.out.write(await document(value, output))
  else await cx.out.write(`${safe(output === 'name' ? subscription : line)}\n`)
}

/** Asks every second what came of the request. @throws CliError where the owner said no */
async function decided(cx: Context, session: Session, r: Request, id: string): Promise<Reply> {
  for (;;) {
    await pause(POLL_MS, cx.interrupt)
    const reply = await session.command(`DESCRIBE SUBSCRIPTION ${id}`)
    const pairs = new Map(reply.lines.flatMap(line => [...parseItem(line)]))
    const phase = pairs.get('phase')
    // The same command again: its reply has the endpoint.
    if (phase === 'active') return session.command(r.line)
    if (phase !== 'revoked' && phase !== 'failed' && phase !== 'ending') continue
    const [symbol = 'DENIED', ...sentence] = (pairs.get('error') ?? 'DENIED the owner said no').split(' ')
    const code = errorKind(symbol)?.code ?? 403
    // Revoked before it ever ran: the owner said no.
    const exit = phase === 'revoked' ? EXIT.authentication : exitOfReply(code, symbol)
    throw new CliError(sentence.join(' ') || 'the owner said no', exit, { reply: `${code} ${symbol}` })
  }
}
