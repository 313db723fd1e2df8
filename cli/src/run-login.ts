import { userConfig } from './config-file.js'
import { storeAgent } from './config-write.js'
import type { Context } from './context.js'
import { CliError, EXIT, toCliError } from './errors.js'
import { Locator } from './locate-agent.js'
import { selectAgent } from './select-agent.js'
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
  try {
    const session = await Session.at(cx, located, { user, password })
    who = (await session.command('WHOAMI')).text
    await session.close()
  } catch (e) {
    cx.interrupt.throwIfAborted()
    throw toCliError(e, { verb: 'AUTHENTICATE', agent: ` --agent ${located.name}` })
  }
  // A config that the command line names is the one to write to; a project's own, which may be shared, is not.
  const file = cx.configGiven ?? userConfig(cx.env)
  const address =
    located.entry?.address ??
    (selection.how === 'host' && selection.port ? `${selection.host}:${selection.port}` : undefined)
  await storeAgent(file, {
    name: located.entry?.name ?? located.fqdn,
    fqdn: located.entry?.fqdn ?? located.fqdn,
    ...(address === undefined ? {} : { address }),
    username: user,
    password,
  })
  await cx.out.write(`${who}\n`)
  cx.note(`the password is kept in ${file}`)
}

async function locate(cx: Context, selection: ReturnType<typeof selectAgent>) {
  try {
    return await new Locator(cx.settings, cx.config, cx.debug, { signal: cx.interrupt }).locate(selection)
  } catch (e) {
    throw toCliError(e)
  }
}
