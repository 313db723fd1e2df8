import { dsLines } from './delegation.js'
import { command, type Finding, fine, option, record, warning } from './finding.js'
import type { Found, Plan } from './plan.js'
import { serverText } from './questions.js'
import { parentOf, signingOf } from './zones.js'

/** What the names that led to an agent are worth, and what would make them worth more. */
export async function security(plan: Plan, { domain, status }: Pick<Found, 'domain' | 'status'>): Promise<Finding> {
  const { questions: q, c } = plan
  if (status === 'secure') return fine('dns', 'dnssec', `all answers are proved by DNSSEC, from ${domain} up`)
  const { server } = q
  if (server && !q.heeds(server))
    return warning(
      'dns',
      'validation',
      `nobody can tell here whether names are proved: ${serverText(server)} is not on this machine, so its word on DNSSEC may be anybody's`,
      command('apt install unbound', 'this machine: a validating resolver on 127.0.0.1'),
    )
  const signing = await signingOf(q, domain, c)
  if (!(await q.validates(domain, c)))
    return warning(
      'dns',
      'validation',
      `the name server ${server ? serverText(server) : ''} does not validate: no answer is ever proved by it${
        signing.ds.length > 0 ? `, though ${domain} is signed` : ''
      }`,
      option(
        'server: module-config: "validator iterator", auto-trust-anchor-file: <root.key>',
        'unbound.conf of that server, where it is Unbound; dns-embedded never validates: ask a resolver beside it',
      ),
    )
  if (signing.ds.length === 0 && signing.keys.length > 0)
    return warning(
      'dns',
      'ds',
      `${domain} is signed, and its parent does not say so: nobody can prove what it says`,
      ...dsLines(signing.keys).map(line => record(line, `the parent zone ${parentOf(domain)}`)),
    )
  if (signing.ds.length === 0)
    return warning(
      'dns',
      'unsigned',
      `${domain} is not signed: what it says may be anybody's, and its level is not dnssec`,
      option(
        `zone "${domain}" { dnssec-policy default; inline-signing no; };`,
        `named.conf of its name server; then its DS in ${parentOf(domain)}`,
      ),
    )
  return warning('dns', 'unsigned', `an answer on the way to ${domain} is not proved: a zone on it is not signed`)
}
