import type { ScramRecord } from '@fnaa/client'
import { makeRecord, saslprep } from '@fnaa/client'
import { type AdminCommand, type Ctx, FnaError } from '@fnaa/core/plugin'
import type { Accounts } from './accounts.js'

const SHORT = 12

interface Needs {
  readonly ctx: Ctx
  readonly accounts: Accounts
  readonly iterations: number
  /** An account ended, or changed its password. */
  changed(principal: string, ended: boolean): Promise<void>
}

/** `fnaad user …`. Passwords come from the terminal or standard input, never from the command line. */
export function userCommands(n: Needs): AdminCommand[] {
  return [
    {
      name: 'user add',
      usage: 'user add NAME[@DOMAIN]',
      summary: 'make an account for a user of this agent',
      async run(args, input, c) {
        const principal = one(args, n.accounts)
        const { record, warnings } = await hashed(n, input.password)
        await n.accounts.create(principal, record, c)
        return [`user ${principal} added`, ...warnings]
      },
    },
    {
      name: 'user list',
      usage: 'user list',
      summary: 'list the accounts',
      async run(args, _input, c) {
        if (args.length > 0) throw new FnaError('FNA_ERR_INVALID', 'user list takes no argument')
        const lines: string[] = []
        for await (const a of n.accounts.all(c)) {
          lines.push(`${a.principal}  ${a.disabled ? 'disabled' : 'active'}  since ${a.created}`)
        }
        return lines
      },
    },
    {
      name: 'user passwd',
      usage: 'user passwd NAME[@DOMAIN]',
      summary: "change a user's password and end its sessions",
      async run(args, input, c) {
        const principal = one(args, n.accounts)
        const { record, warnings } = await hashed(n, input.password)
        await n.accounts.change(principal, { record }, c)
        await n.changed(principal, false)
        return [`password of ${principal} changed`, ...warnings]
      },
    },
    ...(['disable', 'enable'] as const).map((what): AdminCommand => {
      const disabled = what === 'disable'
      return {
        name: `user ${what}`,
        usage: `user ${what} NAME[@DOMAIN]`,
        summary: disabled ? 'keep an account but let nobody log in with it' : 'let a disabled user log in again',
        async run(args, _input, c) {
          const principal = one(args, n.accounts)
          await n.accounts.change(principal, { disabled }, c)
          if (disabled) await n.changed(principal, true)
          return [`user ${principal} ${what}d`]
        },
      }
    }),
    {
      name: 'user remove',
      usage: 'user remove NAME[@DOMAIN]',
      summary: 'remove an account and end its sessions',
      async run(args, _input, c) {
        const principal = one(args, n.accounts)
        await n.accounts.remove(principal, c)
        await n.changed(principal, true)
        return [
          `user ${principal} removed`,
          'what it owns and was granted stays, for whoever is added under that name: revoke it, or disable accounts instead',
        ]
      },
    },
  ]
}

function one(args: readonly string[], accounts: Accounts): string {
  const principal = args.length === 1 ? accounts.principalOf(args[0] as string) : null
  if (principal) return principal
  throw new FnaError(
    'FNA_ERR_INVALID',
    'give one user name: 1 to 64 of a-z 0-9 . _ + -, with a domain of this agent or none',
  )
}

async function hashed(n: Needs, typed: string | undefined): Promise<{ record: ScramRecord; warnings: string[] }> {
  const password = await saslprep(typed ?? '')
  if (!password) throw new FnaError('FNA_ERR_INVALID', 'the password is empty')
  const warnings =
    [...password].length < SHORT ? [`warning: a password of fewer than ${SHORT} characters is easily guessed`] : []
  return { record: await n.ctx.hash(() => makeRecord(password, { iterations: n.iterations })), warnings }
}
