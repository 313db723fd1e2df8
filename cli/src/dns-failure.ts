import type { ResolveStep } from '@fnaa/client'
import { hasCode } from '@fnaa/client'
import { CliError, EXIT } from './errors.js'

/** What DNS said last, so that a name that is not found is told from a server that does not answer for it. */
export class DnsFailure {
  #last: ResolveStep | undefined

  /** A step of the resolver. */
  see(step: ResolveStep): void {
    if (step.step !== 'question') this.#last = step
  }

  /** An error of a look-up in the words of what the server said; any other as it is. */
  explain(e: unknown): unknown {
    const last = this.#last
    if (!last || e instanceof CliError) return e
    const server = `${last.server.host}:${last.server.port}`
    const found = hasCode(e, 'FNA_ERR_NOTFOUND') || hasCode(e, 'FNA_ERR_UNAVAILABLE')
    if (!found) return e
    const fail = (message: string, hint: string) => new CliError(message, EXIT.unreachable, { hint, cause: e })
    if (last.step === 'failure') {
      const { rcode, status } = last.error as { rcode?: number; status?: string }
      if (status === 'bogus')
        return fail(`${last.name}: DNSSEC validation failed at ${server}`, 'the owner of the domain has to mend it')
      if (rcode === 5)
        return fail(
          `${last.name}: the name server ${server} refuses to answer for it (REFUSED)`,
          'the same command with --nameserver ADDRESS of a resolver, or of the server of that domain',
        )
      if (rcode === 2)
        return fail(
          `${last.name}: the name server ${server} could not find it out (SERVFAIL)`,
          'the same command in a while, or with another --nameserver',
        )
      if (rcode !== undefined) return fail(`${last.name}: ${last.error.message} (${server})`, WITH_D)
      return fail(
        `${last.name}: the name server ${server} does not answer`,
        'the same command with --nameserver ADDRESS of one that runs',
      )
    }
    const text = (e as Error).message
    if (last.step === 'answer' && last.rcode === NXDOMAIN)
      return fail(
        `${last.name} does not exist in DNS (NXDOMAIN, said by ${server}): ${text}`,
        'check the spelling, or the same command with --nameserver ADDRESS',
      )
    return fail(`${last.name}: ${text}, said by ${server}`, WITH_D)
  }
}

const NXDOMAIN = 3
const WITH_D = 'the same command with -d, which shows every step'
