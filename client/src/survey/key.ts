import { randomBytes, verify } from 'node:crypto'
import {
  formatInitiator,
  isFnapError,
  type KeyChallenge,
  type KeyRecord,
  keyOwner,
  NONCE_BYTES,
  parseChallenge,
  parseKeyRecord,
  transcript,
  zoneLine,
} from '@fnaa/protocol'
import type { FnapConnection } from '../connection.js'
import { ed25519Key } from '../ed25519.js'
import { hasCode } from '../errors.js'
import { ReplyError } from '../reply.js'
import { CHANNEL_BINDING } from '../scram.js'
import type { AuthStep, Exchange, PeerInfo } from '../types.js'
import { lowest } from '../walk.js'
import { whyNot } from './failures.js'
import { broken, command, fine, type Mend, option, record, warning } from './finding.js'
import type { Tell } from './names.js'
import type { Found, Plan } from './plan.js'

const MECHANISM = 'DOMAINKEY-ED25519'
/** In whose name the agent is asked to prove itself: nobody's, and nobody logs in. */
const NOBODY = { n: 'doctor.invalid', s: 'doctor' } as const
/** What a session comes to whose other side proved this key. */
export type Level = 'dnssec' | 'pkix' | 'dns'

/**
 * Lets an agent prove its domain, as other agents do, and calls the log-in off before its end: it signs first, so no key is
 * needed here.
 * @returns the level at which others meet it, null where it proves nothing
 */
export async function surveyKey(
  plan: Plan,
  found: Found,
  connection: FnapConnection,
  tell: Tell,
): Promise<Level | null> {
  const { domain } = found
  const { auth } = await connection.capabilities({ signal: plan.c.signal })
  if (!auth.includes(MECHANISM)) {
    const what = `the agent does not prove its domain to others: it offers no ${MECHANISM}`
    tell(broken('key', 'mechanism', what, option('plugins: [authDomainkey()]', 'the config of the agent')))
    return null
  }
  const asked = new Asking(domain, connection.peerInfo())
  await connection.authenticate(MECHANISM, asked, { signal: plan.c.signal }).catch(e => asked.ended(e))
  if (!asked.challenge) {
    tell(refused(domain, asked.error))
    return null
  }
  return judge(plan, found, connection, asked.challenge, asked, tell)
}

function refused(domain: string, e: unknown) {
  if (e instanceof ReplyError && e.reply.temporary)
    return warning(
      'key',
      'proof',
      'the agent does not prove its key just now: it has been asked too often',
      command('again, in a minute', 'this machine'),
    )
  return broken(
    'key',
    'domain',
    `the agent there does not speak for ${domain}`,
    option(`domains: ['${domain}']`, 'the config of the agent, where it should'),
    record(
      `_fnap.<namespace>. 300 IN TXT "v=FNAP1; d=<domain of the agent>"`,
      `the zone of the namespace, where another domain's agent serves it`,
    ),
  )
}

async function judge(
  plan: Plan,
  found: Found,
  connection: FnapConnection,
  { rs, sig }: KeyChallenge,
  asked: Asking,
  tell: Tell,
): Promise<Level | null> {
  const owner = keyOwner(rs, found.domain)
  const what = (check: string, text: string, ...mend: Mend[]) => {
    tell(broken('key', check, text, ...mend))
    return null
  }
  let known: KeyRecord | null
  let status: Found['status']
  try {
    const answer = await plan.questions.resolver.resolve(owner, 'TXT', plan.c)
    status = answer.status
    known = parseKeyRecord(answer.records.flatMap(r => (r.type === 'TXT' ? [r.strings] : [])))
  } catch (e) {
    if (!isFnapError(e)) {
      tell(await whyNot(plan, owner, e))
      return null
    }
    return what('record', `${owner}: ${e.sentence}`, await published(connection, rs, found.domain))
  }
  if (!known)
    return what(
      'record',
      `the key that the agent signs with is not in DNS: there is no TXT at ${owner}`,
      await published(connection, rs, found.domain),
    )
  const next = [
    command(`fnaad key revoke ${rs}`, 'the machine of the agent: another key signs at once'),
    command('fnaad key show', `the same machine: the record that then belongs into the zone ${found.domain}`),
  ]
  if (!known.key)
    return what('revoked', `the key that the agent signs with is revoked: TXT at ${owner} has an empty p`, ...next)
  if (known.notAfter !== undefined && known.notAfter * 1000 < plan.now())
    return what('expired', `the key that the agent signs with ended (x of TXT at ${owner})`, ...next)
  if (!holds(known.key, asked.message('responder'), sig))
    return what(
      'mismatch',
      `the agent signs with another key than the one at ${owner}`,
      await published(connection, rs, found.domain),
    )
  const level =
    lowest(found.status, status) === 'secure' ? 'dnssec' : connection.peerInfo().tls?.verified ? 'pkix' : 'dns'
  const proved = `it proves to be ${found.domain} with the key ${rs}, at level ${level}`
  const trust = option(
    `trust: { dns: ['${found.domain}'] }`,
    'the config of each agent that is to believe it all the same',
  )
  tell(
    level === 'dns'
      ? warning(
          'key',
          'proof',
          `${proved}: neither DNSSEC nor a certificate vouches for it, and that suffices nowhere by default`,
          trust,
        )
      : fine('key', 'proof', proved),
  )
  return level
}

function holds(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, message, ed25519Key(key), signature)
  } catch {
    return false
  }
}

/** What a stranger says that it is: nothing else is printed as a record. */
function isKey(text: string): boolean {
  try {
    return parseKeyRecord([[text]])?.key instanceof Uint8Array
  } catch {
    return false
  }
}

/** The record that belongs into DNS, as the agent itself says it inside TLS. */
async function published(connection: FnapConnection, selector: string, domain: string): Promise<Mend> {
  const at = `the zone ${domain}`
  const reply = await connection.command(`FNAPKEY ${selector} ${domain}`).catch(() => null)
  const text = reply?.kind === 'data' ? reply.lines[0] : undefined
  if (text === undefined || !isKey(text))
    return command('fnaad key show', `the machine of the agent: the record that belongs into ${at}`)
  return record(zoneLine({ name: keyOwner(selector, domain), ttl: 300, type: 'TXT', strings: [text] }), at)
}

/** An exchange that asks the other side for its proof, keeps it, and goes. */
class Asking implements Exchange {
  readonly #first
  readonly #channel
  challenge: KeyChallenge | null = null
  error: unknown = null

  constructor(domain: string, peer: PeerInfo) {
    this.#first = { ...NOBODY, t: domain, cn: randomBytes(NONCE_BYTES) }
    this.#channel = {
      exporter: peer.tls?.exporter(CHANNEL_BINDING.label, CHANNEL_BINDING.length) ?? new Uint8Array(),
      capabilities: Buffer.from(peer.capabilities, 'utf8'),
    }
  }

  async step(input: Uint8Array | null): Promise<AuthStep> {
    if (input === null) return { type: 'challenge', data: formatInitiator(this.#first) }
    this.challenge = parseChallenge(input)
    return { type: 'reject', log: 'only its proof was asked for' }
  }
  abort(): void {}
  ended(e: unknown): void {
    if (!hasCode(e, 'FNA_ERR_DENIED') || e instanceof ReplyError) this.error = e
  }

  /** What the other side signed. */
  message(role: 'responder'): Buffer {
    const { rs, sn } = this.challenge!
    return transcript(role, { ...this.#first, rs, sn, ...this.#channel })
  }
}
