import { anonymous, type FnapConnection, type Reply, ReplyError, survey } from '@fnaa/client'
import { formatCommand } from '@fnaa/protocol'
import type { Context } from './context.js'
import { CliError, toCliError } from './errors.js'
import { objectOf, rowsOf } from './output.js'
import type { Findings } from './run-doctor.js'
import { Session } from './session.js'

const { broken, command, fine, option, skipped, warning } = survey

/**
 * Grants and broker as the user's own agent sees them: it asks the owner's agent on the user's behalf (DESCRIBE FLOW is
 * relayed), or is the owner's agent itself.
 * @returns false where no agent of the user's is known
 */
export async function ownView(cx: Context, name: string, found: survey.Found, findings: Findings): Promise<boolean> {
  let session: Session
  try {
    session = await Session.open(cx, { name, discover: false })
  } catch (e) {
    cx.interrupt.throwIfAborted()
    const error = toCliError(e)
    if (cx.config.agents.length === 0 && cx.settings.agent === undefined) return false
    const hint = error.hint === undefined ? [] : [command(cx.typed(error.hint), 'this machine')]
    findings.from('this machine')(broken('agent', 'login', `your own agent lets you not in: ${error.message}`, ...hint))
    return true
  }
  try {
    const tell = findings.from(`your agent ${session.located.name}`)
    const ask = (line: string) => session.command(line).catch(answered)
    const who = (await ask('WHOAMI')).text
    const owner = found.places.some(p => p.host === session.connection.greeting)
    if (name === found.namespace) await namespaceView(name, ask, tell)
    else {
      const flow = await grants(name, who, owner, ask, tell)
      if (flow) await broker(session.connection, name, flow, owner, tell)
    }
    if (!owner) await subscription(name, ask, tell)
  } finally {
    await session.close()
  }
  return true
}

/** The same as a stranger without a name sees it, over the connection that is there. */
export async function strangersView(
  name: string,
  found: survey.Found,
  connection: FnapConnection,
  tell: survey.Tell,
): Promise<void> {
  try {
    await connection.authenticate('ANONYMOUS', anonymous('fnua doctor'))
  } catch (e) {
    if (!(e instanceof ReplyError)) throw e
    const login = command('fnua login --agent <your agent>', 'this machine, to see what it sees')
    tell(skipped('grants', 'visible', 'nobody gets in there without a name, and no agent of yours is known', login))
    return
  }
  const ask = (line: string) => connection.command(line)
  if (name === found.namespace) return namespaceView(name, ask, tell)
  const flow = await grants(name, ANYONE, false, ask, tell)
  if (flow) await broker(connection, name, flow, true, tell)
}

type Ask = (line: string) => Promise<Reply>

function answered(e: unknown): Reply {
  if (e instanceof ReplyError) return e.reply
  throw e instanceof CliError ? e : toCliError(e)
}

async function namespaceView(name: string, ask: Ask, tell: survey.Tell): Promise<void> {
  const reply = await ask(formatCommand('GET FLOWS', { namespace: name }, {}))
  if (reply.kind === 'error') tell(refusal(name, ANYONE, reply))
  else tell(fine('grants', 'visible', `${name} shows you ${reply.lines.length} flows`))
}

type Described = Readonly<Record<string, string | undefined>>

/**
 * Is the flow shown, and what may be done with it?
 * @param who whom it is shown to: a principal, or anyone
 * @returns what DESCRIBE FLOW says of it, null where it is not shown
 */
async function grants(
  name: string,
  who: string,
  owner: boolean,
  ask: Ask,
  tell: survey.Tell,
): Promise<Described | null> {
  const reply = await ask(formatCommand('DESCRIBE FLOW', { flow: name }, { full: true }))
  if (reply.kind === 'error') {
    tell(refusal(name, who, reply))
    return null
  }
  const described = objectOf(reply.lines) as Described
  const { visibility, requests } = described
  const shown = `it is shown to ${who} (visibility=${visibility})`
  if (owner || visibility === 'public') tell(fine('grants', 'visible', shown))
  else if (requests === 'yes')
    tell(fine('grants', 'visible', `${shown}; who may not subscribe is put before its owner`))
  else
    tell(
      warning(
        'grants',
        'subscribe',
        `${shown}; whether SUBSCRIBE is granted too, only SUBSCRIBE tells`,
        grant(name, principal(who)),
      ),
    )
  return described
}

const ANYONE = 'anyone'
const principal = (who: string): string => (who === ANYONE ? '<user@domain>' : who)
const grant = (name: string, who: string): survey.Mend =>
  command(`fnua grant read,subscribe on flow ${name} to ${who}`, 'the owner of the flow')

/** What an error reply says about which layer: those of the way between agents are theirs, as the user's own agent words them. */
function refusal(name: string, who: string, reply: Reply): survey.Finding {
  const said = `${reply.code} ${reply.symbol}: ${reply.text}`
  const look = command(`fnaad --config <file> doctor ${name}`, 'the machine of your agent')
  const text = reply.text
  if (reply.symbol === 'NOTFOUND' || reply.symbol === 'DENIED')
    return broken(
      'grants',
      'visible',
      `there is no such flow, or none that is shown to ${who}: from outside that looks the same (${said})`,
      grant(name, principal(who)),
      command(`fnua subscribe ${name} --reason '<why>'`, 'this machine, where the flow takes requests'),
    )
  // Their words say nothing of an agent of ours.
  if (who === ANYONE)
    return broken(
      'grants',
      'visible',
      `the owner's agent does not show it (${said})`,
      command('again, in a while', 'this machine'),
    )
  if (/address that may not be used/.test(text))
    return broken(
      'address',
      'guard',
      `your agent does not connect to where the owner's is said to be (${said})`,
      option("network: { allow: ['<address>'] }", 'the config of your agent, if you mean it'),
      look,
    )
  if (/names of that flow|could not be found|serves a namespace/.test(text))
    return broken('dns', 'resolver', `your agent cannot find the owner's by its resolver (${said})`, look)
  if (/prove themselves/.test(text))
    return broken('key', 'trust', `your agent and the owner's do not let each other in (${said})`, look)
  if (/does not answer/.test(text))
    return broken('tcp', 'port', `your agent does not reach the owner's (${said})`, look)
  return broken('grants', 'visible', `your agent cannot ask (${said})`, command('again, in a while', 'this machine'))
}

/** A subscription that there is, and how it fares. */
async function subscription(name: string, ask: Ask, tell: survey.Tell): Promise<void> {
  const reply = await ask('GET SUBSCRIPTIONS')
  if (reply.kind === 'error') return
  for (const row of rowsOf(reply.lines).filter(r => r.get('source') === name)) {
    const [id, phase] = [row.get('subscription') ?? '', row.get('phase') ?? '']
    const told = await ask(`DESCRIBE SUBSCRIPTION ${id}`)
    const { error } = told.kind === 'error' ? {} : (objectOf(told.lines) as { error?: string })
    const text = `your subscription ${id} is ${phase}${error === undefined ? '' : `: ${error}`}`
    if (phase === 'active' || phase === 'paused') tell(fine('broker', 'subscription', text))
    else if (phase === 'revoked' || phase === 'gone')
      tell(
        broken('grants', 'subscription', text, grant(name, '<you>'), command(`fnua subscribe ${name}`, 'this machine')),
      )
    else tell(warning('broker', 'subscription', text, command(`fnua describe subscription ${id}`, 'this machine')))
  }
}

/** Does the broker behind the flow answer? Reading from its end takes nothing away. */
async function broker(
  connection: FnapConnection,
  name: string,
  { type, server, broker: id, state }: Described,
  reads: boolean,
  tell: survey.Tell,
): Promise<void> {
  // What its owner says is shown, and is nothing to be typed.
  const instance = id !== undefined && /^[a-z0-9][a-z0-9-]{0,62}$/.test(id) ? id : '<broker>'
  const mend = [
    command(`fnua describe broker ${instance}`, 'the owner of the flow'),
    command('fnaad --config <file> doctor', 'the machine of the agent that owns the flow'),
  ]
  if (state !== undefined && state !== 'ready') {
    tell(broken('broker', 'state', `the flow is not ready at its broker ${id ?? ''} (${state})`, ...mend))
    return
  }
  if (!reads) {
    tell(fine('broker', 'state', `its owner says that it is ready: ${type} at ${server}`))
    return
  }
  try {
    const stream = await connection.readLines(formatCommand('READ FLOW', { flow: name }, { from: { at: 'latest' } }))
    // Up to where the flow ended when READ came: nothing, or what has just been written.
    for await (const _event of stream);
    tell(fine('broker', 'read', `it can be read: ${type} at ${server}`))
  } catch (e) {
    if (!(e instanceof ReplyError)) throw e
    const { symbol, code, text } = e.reply
    if (symbol === 'DENIED' || symbol === 'NOTFOUND')
      tell(warning('grants', 'read', `it may not be read here (${code} ${symbol})`, grant(name, '<you>')))
    else tell(broken('broker', 'read', `the broker ${id ?? ''} does not give it (${code} ${symbol}: ${text})`, ...mend))
  }
}
