import { ClientError, FnapConnection, findAgent, type SecureOptions, signalAfter } from '@fnaa/client'
import { fingerprintOf, formatCommand, isFnapError, parseKeyRecord } from '@fnaa/protocol'
import type { Identity } from '../contract/auth.js'
import type { Call } from '../contract/common.js'
import { FnaError, isFna } from '../contract/errors.js'
import type { Kernel } from '../kernel.js'
import { Pace } from '../resources/pace.js'
import { networkOf } from '../server/sources.js'

const CALL_MS = 8_000
const HELD_MS = 300_000
const FAILED_MS = 60_000
const MOST = 10_000
const MOST_PLACES = 3

interface Known {
  readonly answer: Promise<boolean>
  until: number
}

/**
 * Level pkix of a domain that has logged in by a key from unsigned DNS: its own host is asked for the same key, behind a
 * certificate that is valid for the domain (security §4.2, hardening H21). That comes last, when the key has verified a
 * signature, and FNAPKEY is all that is said there: it needs no login, so no callback begins another.
 */
export class Callbacks {
  readonly #k: Kernel
  /** By domain and key. */
  readonly #known = new Map<string, Known>()
  readonly #failed: Pace

  constructor(kernel: Kernel) {
    this.#k = kernel
    this.#failed = new Pace(kernel.clock, { burst: 10, perSecond: 0.1 })
  }

  /**
   * Does the domain's own host show the key that the domain has logged in with? Answers are remembered: a yes for five
   * minutes, a no for one.
   * @throws FNA_ERR_UNAVAILABLE where the host cannot be asked now: that is not a no
   */
  async confirms(who: Identity, address: string): Promise<boolean> {
    const { principal: domain, key } = who
    if (!key) return false
    const now = this.#k.clock.now()
    const name = `${domain} ${key.selector} ${key.fingerprint}`
    const known = this.#known.get(name)
    if (known && known.until > now) return known.answer
    const network = networkOf(address)
    if (this.#failed.wait(network) > 0 || this.#failed.wait(domain) > 0)
      throw new FnaError('FNA_ERR_UNAVAILABLE', 'too many keys of this network or domain were not confirmed')
    // One that is under way counts as failed until it has not: else any number could be.
    for (const who of [network, domain]) this.#failed.spend(who)
    const answer = this.#ask(domain, key.selector, key.fingerprint, { signal: signalAfter(CALL_MS) })
    const entry: Known = { answer, until: now + FAILED_MS }
    this.#known.delete(name)
    this.#known.set(name, entry)
    const oldest = this.#known.keys().next()
    if (this.#known.size > MOST && !oldest.done) this.#known.delete(oldest.value)
    answer.then(
      yes => {
        if (!yes) return
        entry.until = now + HELD_MS
        for (const who of [network, domain]) this.#failed.refund(who)
      },
      () => undefined,
    )
    return answer
  }

  async #ask(domain: string, selector: string, fingerprint: string, c: Call): Promise<boolean> {
    const { places, tls } = await findAgent(this.#k.resolve, domain, c).catch(e => {
      if (isFna(e, 'FNA_ERR_NOTFOUND')) return { places: [], tls: false }
      throw e
    })
    let failure: unknown
    for (const place of places.slice(0, MOST_PLACES)) {
      try {
        return await this.#shows(await this.#k.dial(place, c), tls, domain, selector, fingerprint, c)
      } catch (e) {
        this.#k.log.info({ peer: domain, err: e }, 'the host of a domain does not confirm its key')
        // Another host of the domain may be a better one; a certificate that does not hold there is a no.
        if (!isFna(e, 'FNA_ERR_DENIED') && !isFna(e, 'FNA_ERR_ADDRESS')) failure = e
      }
    }
    if (failure !== undefined)
      throw new FnaError('FNA_ERR_UNAVAILABLE', 'the host of the domain cannot be asked for its key now', {
        cause: failure,
      })
    return false
  }

  async #shows(
    stream: NodeJS.ReadWriteStream,
    implicit: boolean,
    domain: string,
    selector: string,
    fingerprint: string,
    c: Call,
  ): Promise<boolean> {
    const secure = secureAs(this.#k, domain, 'required')
    const connection = await FnapConnection.connect(stream, implicit ? { tls: secure } : {}, c)
    try {
      if (!implicit) await connection.starttls(secure, c)
      const reply = await connection.command(formatCommand('FNAPKEY', { selector, domain }), { signal: c.signal })
      if (reply.kind === 'error' && reply.temporary)
        throw new ClientError('FNA_ERR_UNAVAILABLE', 'the host of the domain does not answer now')
      return reply.kind === 'data' && isKey(reply.lines, fingerprint)
    } finally {
      connection.destroy()
    }
  }
}

function isKey(lines: readonly string[], fingerprint: string): boolean {
  try {
    const key = parseKeyRecord(lines.map(line => [line]))?.key
    return key !== undefined && key !== null && fingerprintOf(key) === fingerprint
  } catch (e) {
    if (isFnapError(e)) return false
    throw e
  }
}

/**
 * TLS to the agent of a domain: the domain is the server's name and the certificate's, never an address or an SRV target
 * (hardening H17).
 */
export function secureAs(k: Kernel, domain: string, certificate: 'required' | 'recorded'): SecureOptions {
  const roots = k.roots === null ? {} : { ca: k.roots }
  return { servername: domain, certificate, alpn: 'required', minVersion: 'TLSv1.3', ...roots }
}
