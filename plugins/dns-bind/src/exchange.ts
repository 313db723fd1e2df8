import { randomInt } from 'node:crypto'
import { type Call, FnaError } from '@fnaa/core/plugin'
import { overTcp, overUdp, type Server, unavailable } from './transport.js'
import { sign, type TsigKey, verify } from './tsig.js'
import { encodeUpdate, type Rcode, readAnswer, type Update } from './update.js'

const LARGEST_UDP = 512

export interface ExchangeOptions {
  readonly server: Server
  readonly key: () => Promise<TsigKey>
  readonly transport: 'tcp' | 'udp'
  /** Milliseconds for one update. */
  readonly ms: number
  /** Told how many seconds the server's clock is ahead of ours, by each answer that says so. */
  readonly heard?: (ahead: number) => void
}

/** What a server has proved to have said. */
type Outcome = { readonly rcode: Rcode | number } | Refused
interface Refused {
  readonly refused: string
  /** Seconds since 1970. */
  readonly serverTime?: number
}

/**
 * Sends one update, signed, and waits for an answer that is signed too.
 * @returns the response code, proved by the key: NOERROR, or a condition that does not hold (YXDOMAIN, YXRRSET, NXRRSET)
 * @throws FNA_ERR_UNAVAILABLE (no answer, SERVFAIL, REFUSED …: try again), FNA_ERR_CONFIG (the key, the clock, the zone: for the
 * operator to mend)
 */
export async function sendUpdate(u: Update, o: ExchangeOptions, c: Call): Promise<Rcode> {
  const key = await o.key()
  const outcome = await once(u, key, o, c)
  if (!('refused' in outcome)) return judged(outcome.rcode, u, o)
  // A key that has just been rotated: the file may hold the new one by now.
  const again = await o.key()
  if (again !== key) {
    const second = await once(u, again, o, c)
    if (!('refused' in second)) return judged(second.rcode, u, o)
  }
  throw refusal(outcome, key, o)
}

async function once(u: Update, key: TsigKey, o: ExchangeOptions, c: Call): Promise<Outcome> {
  const id = randomInt(65_536)
  const { message, mac } = sign(encodeUpdate(id, u), key, now())
  const udp = o.transport === 'udp' && message.length <= LARGEST_UDP
  let heard = ''
  let refused: Outcome | null = null
  const match = (m: Buffer): Outcome | { unproved: string } | null => {
    const answer = readAnswer(m, id)
    if (!answer) return null
    const v = verify(m, key, mac, now())
    if (v.ok) o.heard?.(v.time - now())
    if (v.ok) return answer.truncated ? { unproved: 'the answer was cut' } : { rcode: answer.rcode }
    if (v.refused !== undefined) {
      refused = { refused: v.refused, ...(v.serverTime === undefined ? {} : { serverTime: v.serverTime }) }
      return udp ? null : refused
    }
    heard = `${answer.rcode}, but ${v.why}`
    return udp ? null : { unproved: heard }
  }
  try {
    const found = udp
      ? await overUdp(o.server, message, match, o.ms, c)
      : (await overTcp(o.server, [{ message, match }], o.ms, c))[0]!
    if (!('unproved' in found)) return found
    throw unavailable(o.server, `an answer that proves nothing (${found.unproved})`)
  } catch (e) {
    // Over UDP anybody may answer: what was heard decides nothing while the real answer may still come.
    if (refused) return refused
    if (udp && heard) throw unavailable(o.server, `an answer that proves nothing (${heard})`, e)
    throw e
  }
}

function judged(rcode: Rcode | number, u: Update, o: ExchangeOptions): Rcode {
  switch (rcode) {
    case 'NOERROR':
    case 'YXDOMAIN':
    case 'YXRRSET':
    case 'NXRRSET':
      return rcode
    case 'REFUSED':
      throw unavailable(
        o.server,
        `REFUSED an update of ${u.zone}: the key may not write it, the zone is frozen, or this is a secondary`,
      )
    case 'SERVFAIL':
      throw unavailable(
        o.server,
        `SERVFAIL to an update of ${u.zone}: can it write the zone's journal? its log says why`,
      )
    case 'NOTAUTH':
    case 'NOTZONE':
      throw new FnaError(
        'FNA_ERR_CONFIG',
        `the name server is not the primary of ${u.zone} (${rcode}): name another server, or other zones`,
      )
    case 'NOTIMP':
      throw new FnaError('FNA_ERR_CONFIG', 'the name server takes no updates (NOTIMP)')
    default:
      throw unavailable(o.server, `${rcode} to an update of ${u.zone}`)
  }
}

function refusal(outcome: Refused, key: TsigKey, o: ExchangeOptions): FnaError {
  const at = `${o.server.host}:${o.server.port}`
  const say = (text: string) => new FnaError('FNA_ERR_CONFIG', `the name server ${at} ${text}`)
  switch (outcome.refused) {
    case 'BADKEY':
      return say(`does not know the key ${key.name} with ${key.algorithm} (BADKEY)`)
    case 'BADSIG':
      return say(`knows the key ${key.name} with another secret (BADSIG)`)
    case 'BADTIME': {
      const off = outcome.serverTime === undefined ? null : outcome.serverTime - now()
      if (off !== null) o.heard?.(off)
      const how = off === null ? '' : `: its clock is ${Math.abs(off)} s ${off > 0 ? 'ahead of' : 'behind'} ours`
      return say(`finds our clock wrong (BADTIME)${how}; set both by NTP`)
    }
    default:
      return say(`refuses the signature (${outcome.refused})`)
  }
}

/** Seconds since 1970, of the real clock: the server looks at its own. */
const now = (): number => Math.floor(Date.now() / 1000)
