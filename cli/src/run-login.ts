import { userConfig } from './config-file.js'
import { type StoredAgent, storeAgent } from './config-write.js'
import { caFile } from './connect.js'
import type { Context } from './context.js'
import { CliError, EXIT, toCliError } from './errors.js'
import { type Located, Locator } from './locate-agent.js'
import { type Selection, selectAgent } from './select-agent.js'
import { Session } from './session.js'
import { firstLine } from './stdin.js'

/** `fnua login`: asks for user and password, tries them at the agent, and keeps them in the user's config (0600). */
export async function runLogin(cx: Context): Promise<void> {
  const { settings } = cx
  const selection = selectAgent(settings, cx.config, { discover: false })
  const located = await locate(cx, selection)
  const known = settings.user ?? located.entry?.username
  const user = known ?? (await cx.ask(`user at ${located.name}: `))
  if (!user) throw new CliError('a user is needed', EXIT.usage, { hint: 'fnua login --user NAME' })
  const password = settings.passwordStdin
    ? await firstLine(cx.stdin)
    : (settings.password ?? (await cx.ask(`password of ${user} at ${located.name}: `, { secret: true })))
  if (!password) throw new CliError('a password is needed', EXIT.usage, { hint: 'fnua login --password-stdin < FILE' })
  let who: string
  // What nothing but the try has shown.
  let implicit = false
  try {
    const session = await Session.at(cx, located, { user, password })
    who = (await session.command('WHOAMI')).text
    implicit = session.implicit && !located.implicit
    await session.close()
  } catch (e) {
    cx.interrupt.throwIfAborted()
    throw toCliError(e, { verb: 'AUTHENTICATE', agent: ` --agent ${located.name}` })
  }
  // A config that the command line names is the one to write to; a project's own, which may be shared, is not.
  const file = cx.configGiven ?? userConfig(cx.env)
  const way = wayBack(cx, selection, located, implicit)
  await storeAgent(file, { ...way, username: user, password })
  await cx.out.write(`${who}\n`)
  const kept = ['user', 'password', ...Object.keys(way).filter(key => key !== 'name' && key !== 'fqdn')]
  cx.note(`kept in ${file}: ${kept.join(', ')}`)
}

/** All that the command line gave to find this agent and to trust it, so that the next one needs none of it. */
function wayBack(
  cx: Context,
  selection: Selection,
  located: Located,
  implicit: boolean,
): Omit<StoredAgent, 'username' | 'password'> {
  const { entry } = located
  const { settings } = cx
  const port = selection.how === 'host' ? selection.port : undefined
  const address = entry?.address ?? (port === undefined ? undefined : located.name)
  const nameserver = settings.nameserverGiven ? settings.nameserver : (entry?.nameserver ?? settings.nameserver)
  const ca = caFile(cx, located)
  const tls = implicit ? 'implicit' : settings.tls ? 'required' : entry?.tls
  return {
    name: located.name,
    fqdn: located.fqdn,
    ...(address === undefined ? {} : { address }),
    ...(nameserver === undefined ? {} : { nameserver }),
    ...(ca === undefined ? {} : { ca }),
    ...(tls === undefined ? {} : { tls }),
  }
}

async function locate(cx: Context, selection: Selection) {
  try {
    return await new Locator(cx.settings, cx.config, cx.debug, { signal: cx.interrupt }).locate(selection)
  } catch (e) {
    throw toCliError(e)
  }
}
