import { hasCode, ReplyError } from '@fnaa/client'
import type { Context } from './context.js'
import { CliError, EXIT, exitOfReply } from './errors.js'
import type { Session } from './session.js'

/**
 * Why a READ broke off. An agent cuts a reader who has lost the right without a word among data, so that nothing can be
 * taken for an event: whoever wants to know why, asks again.
 */
export async function brokeOff(cx: Context, session: Session, flow: string, e: unknown): Promise<unknown> {
  const gone = hasCode(e, 'FNA_ERR_CLOSED') || hasCode(e, 'FNA_ERR_UNAVAILABLE')
  if (!gone || e instanceof ReplyError || cx.interrupt.aborted || cx.out.closed.aborted) return e
  const agent = session.flag
  try {
    const again = await session.again()
    await again.command(`READ FLOW ${flow} FROM latest`).finally(() => again.close())
  } catch (why) {
    if (why instanceof ReplyError && why.reply.symbol !== 'CLOSING') return cut(flow, agent, why)
    return new CliError(`reading ${flow} broke off: ${session.located.name} has gone`, EXIT.unreachable, {
      hint: 'the same command again, when it is back',
      cause: why,
    })
  }
  return new CliError(
    `reading ${flow} broke off: the agent closed the connection; it would let you read again`,
    EXIT.unreachable,
    { hint: `the same command again; what changed: fnua${agent} get grants`, cause: e },
  )
}

/** The right was taken away, the flow deleted, or the account disabled: the reply to a new READ tells which. */
function cut(flow: string, agent: string, { reply }: ReplyError): CliError {
  const account = reply.symbol === 'AUTHFAILED'
  const why = account ? 'you can no longer log in' : 'you may no longer read it, or it is gone'
  return new CliError(`reading ${flow} was ended by its agent: ${why}`, exitOfReply(reply.code, reply.symbol), {
    reply: `${reply.code} ${reply.symbol ?? ''}`.trim(),
    hint: account ? `fnua${agent} login` : `fnua${agent} describe flow ${flow}, or fnua${agent} get grants`,
  })
}
