/** One command of the operator, as help shows it. */
export interface AdminHelp {
  readonly usage: string
  readonly summary: string
}

/**
 * What `fnaad user` and `fnaad key` do with the plugins that come with fnaad: help is asked for before there is a config. A
 * test holds it to what the plugins say of themselves.
 */
export const ADMIN_HELP: Readonly<Record<'user' | 'key', readonly AdminHelp[]>> = {
  user: [
    { usage: 'user add NAME[@DOMAIN]', summary: 'make an account for a user of this agent' },
    { usage: 'user list', summary: 'list the accounts' },
    { usage: 'user passwd NAME[@DOMAIN]', summary: "change a user's password and end its sessions" },
    { usage: 'user disable NAME[@DOMAIN]', summary: 'keep an account but let nobody log in with it' },
    { usage: 'user enable NAME[@DOMAIN]', summary: 'let a disabled user log in again' },
    { usage: 'user remove NAME[@DOMAIN]', summary: 'remove an account and end its sessions' },
  ],
  key: [
    { usage: 'key init [SELECTOR]', summary: "make this agent's key where it has none" },
    { usage: 'key show', summary: 'list the keys, and what must stand in DNS' },
    { usage: 'key rotate', summary: 'make the next key; the one before stays valid for a day' },
    {
      usage: 'key revoke SELECTOR',
      summary: 'publish a key as revoked and forget its secret; a new one takes its place at once',
    },
  ],
}

const BESIDE = 'A running agent does it at once; where none runs, it is done beside its state.'
const MORE: Readonly<Record<'user' | 'key', string>> = {
  user: `A password is asked for on the terminal, or is the first line of standard input:
  fnaad user add alice
  fnaad user add bob@example.org < password.txt

Without DOMAIN it is the first of the config's domains. ${BESIDE}`,
  key: `SELECTOR is the label of the key's record, SELECTOR._fnapkey.DOMAIN; key show has it. ${BESIDE}`,
}

/** What stands below the options of `fnaad user --help`. */
export function adminHelp(noun: 'user' | 'key'): string {
  const rows = ADMIN_HELP[noun]
  const width = Math.max(...rows.map(r => r.usage.length))
  return `\nCommands:\n${rows.map(r => `  ${r.usage.padEnd(width)}  ${r.summary}`).join('\n')}\n\n${MORE[noun]}`
}
