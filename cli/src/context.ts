import type { ConfigFile } from './config-file.js'
import type { Debug } from './debug.js'
import type { Out } from './out.js'
import type { Settings } from './settings.js'

/** What a command of fnua gets: nothing of it is global, so that tests can give their own. */
export interface Context {
  readonly settings: Settings
  readonly config: ConfigFile
  /** The file of `--config` or FNUA_CONFIG. */
  readonly configGiven?: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** What paths of the command line are meant from. */
  readonly cwd: string
  readonly out: Out
  readonly stdin: NodeJS.ReadStream
  readonly debug: Debug
  /** Aborts at the first Ctrl-C. */
  readonly interrupt: AbortSignal
  /** A line for a person on standard error; `-q` leaves it out. */
  readonly note: (line: string) => void
  /** A command of fnua as it is typed here, with the options that were given: for notes. */
  readonly typed: (hint: string) => string
  /** A question on the terminal; undefined where there is none. */
  readonly ask: (question: string, opt?: { readonly secret?: boolean }) => Promise<string | undefined>
}
