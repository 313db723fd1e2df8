import { loadConfig, userConfig } from './config-file.js'
import type { Context } from './context.js'
import { CliError, EXIT } from './errors.js'
import type { Located } from './locate-agent.js'
import { firstLine } from './stdin.js'

export interface Credentials {
  readonly user: string
  readonly password: string
}

/**
 * Who logs in: the command line and the environment, then the agent's entry in the config, then what `fnua login` stored.
 * @returns null where no user is known: the agent may let anonymous readers in
 * @throws CliError where there is a user and no password
 */
export async function credentialsFor(cx: Context, located: Located): Promise<Credentials | null> {
  const stored = await storedFor(cx, located)
  const user = cx.settings.user ?? located.entry?.username ?? stored?.username
  if (user === undefined) return null
  const given = cx.settings.passwordStdin ? await firstLine(cx.stdin) : cx.settings.password
  const own = located.entry?.username === user ? located.entry.password : undefined
  const kept = stored?.username === user ? stored.password : undefined
  const password = given ?? own ?? kept ?? (await cx.ask(`password of ${user} at ${located.name}: `, { secret: true }))
  if (password === undefined || password === '') {
    throw new CliError(`there is no password for ${user} at ${located.name}`, EXIT.authentication, {
      hint: `fnua --agent ${located.name} login`,
    })
  }
  return { user, password }
}

/** The entry that `fnua login` wrote into the user's own config, where another config is in use. */
async function storedFor(cx: Context, located: Located) {
  const file = userConfig(cx.env)
  if (cx.config.file === file) return undefined
  try {
    const { agents } = await loadConfig(file, '/', cx.env)
    const { fqdn, address } = located.entry ?? { fqdn: located.fqdn, address: undefined }
    return agents.find(
      a => a.fqdn === fqdn && (a.name === located.name || (a.address ?? address) === (address ?? a.address)),
    )
  } catch {
    return undefined
  }
}
