import { checkPassword, saslprep } from '@fnaa/client'
import type { AuthMechanism, AuthStep, Ctx, Exchange, HashFor } from '@fnaa/core/plugin'
import { isFna } from '@fnaa/core/plugin'
import type { Accounts } from './accounts.js'

const MOST = 4096

/** PLAIN (RFC 4616). On loopback without TLS only where the operator says so. */
export function plainMechanism(ctx: Ctx, accounts: Accounts, inClear: boolean): AuthMechanism {
  return {
    name: 'PLAIN',
    needs: inClear ? ['tls', 'loopback'] : ['tls'],
    accept(peer): Exchange {
      let over = false
      return {
        async step(input, c): Promise<AuthStep> {
          if (over) return { type: 'reject', log: 'the exchange is over' }
          if (input === null) return { type: 'challenge', data: new Uint8Array() }
          over = true
          return check(ctx, accounts, input, { address: peer.address, signal: c.signal })
        },
        abort() {
          over = true
        },
      }
    },
  }
}

async function check(ctx: Ctx, accounts: Accounts, input: Uint8Array, who: HashFor): Promise<AuthStep> {
  const message = await read(input)
  // Hashed whatever the message is: a malformed name must not answer sooner than a wrong password.
  const { record, account } = await accounts.recordFor(message.user, who)
  const right = await ctx.hash(() => checkPassword(record, message.password), who)
  if (message.fault) return reject(message.fault)
  if (!account) return reject('no such account')
  if (!right) return reject(`wrong password of ${account.principal}`)
  if (account.disabled) return reject(`${account.principal} is disabled`)
  if (message.authzid && accounts.principalOf(message.authzid) !== account.principal) {
    return reject(`${account.principal} may not act as somebody else`)
  }
  return { type: 'accept', identity: { type: 'user', principal: account.principal } }
}

interface Message {
  readonly authzid: string
  readonly user: string
  readonly password: string
  readonly fault?: string
}

async function read(input: Uint8Array): Promise<Message> {
  const none = { authzid: '', user: '', password: '' }
  if (input.length > MOST) return { ...none, fault: 'the message is too long' }
  let parts: string[]
  try {
    parts = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input).split('\0')
  } catch {
    return { ...none, fault: 'the message is not UTF-8' }
  }
  const [authzid = '', user = '', password = ''] = parts
  if (parts.length !== 3 || !user || !password) return { ...none, fault: 'the message is malformed' }
  try {
    return { authzid, user: await saslprep(user), password: await saslprep(password) }
  } catch (e) {
    if (!isFna(e, 'FNA_ERR_INVALID')) throw e
    return { ...none, fault: 'a name or password has a forbidden character' }
  }
}

const reject = (log: string): AuthStep => ({ type: 'reject', log })
