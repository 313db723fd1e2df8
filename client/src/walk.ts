import { type DnsRecord, isFnapError, isName, parseFnapRecord, parseWords, suffixes } from '@fnaa/protocol'
import { ClientError } from './errors.js'
import type { AnyAnswer, ResolveAny } from './resolver.js'
import type { Answer, Call, Resolve } from './types.js'

/** The port of FNAP where no SRV record says another. */
export const DEFAULT_PORT = 61_000

export type Status = Answer['status']

export interface Place {
  /** A name, never to be taken for an identity. */
  readonly host: string
  readonly port: number
}
export interface NamespaceFound {
  readonly namespace: string
  /** What the namespace's agent must prove: the namespace or an ancestor, and a zone's apex. */
  readonly domain: string
  /** `id` of the record: it changes whenever a key of the domain does. */
  readonly id?: string
  /** The lowest of all answers used, negative ones included. */
  readonly status: Status
}
export interface AgentFound {
  /** In the order in which they are to be tried (RFC 2782). */
  readonly places: readonly Place[]
  /** TLS from the first byte; else STARTTLS. */
  readonly tls: boolean
  readonly status: Status
}

const RANK: Readonly<Record<Status, number>> = { bogus: 0, insecure: 1, secure: 2 }

/** The lower of two statuses: an answer is worth what its weakest part is worth. */
export const lowest = (a: Status, b: Status): Status => (RANK[a] < RANK[b] ? a : b)

/** Other resolvers may report `bogus` in the answer instead of throwing. It never counts as an absence. */
function sound<A extends AnyAnswer>(answer: A): A {
  if (answer.status !== 'bogus') return answer
  throw new ClientError('FNA_ERR_UNAVAILABLE', 'DNSSEC validation failed', { status: 'bogus' })
}

/**
 * Finds the namespace of a flow, and the domain whose agent speaks for it: the TXT record at `_fnap.<suffix>`, asked from
 * the longest suffix to the shortest. Only an absence goes on to the next one (hardening H12, H14).
 * @param flow the flow's name, canonical; a namespace's own name with `self`
 * @throws FNA_ERR_NOTFOUND where no suffix is a namespace; FNA_ERR_CORRUPT where the record breaks a rule;
 * FNA_ERR_UNAVAILABLE as soon as one question had no answer
 */
export async function findNamespace(
  resolve: ResolveAny,
  flow: string,
  c: Call,
  opt: { readonly self?: boolean } = {},
): Promise<NamespaceFound> {
  if (!isName(flow)) throw new ClientError('FNA_ERR_INVALID', 'a flow has a name of two labels or more')
  let status: Status = 'secure'
  for (const suffix of suffixes(flow, opt)) {
    const answer = sound(await resolve(`_fnap.${suffix}`, 'TXT', c))
    status = lowest(status, answer.status)
    if (answer.records.length === 0) continue
    const { domain, id } = readRecord(answer.records, suffix)
    const apex = await findApex(resolve, domain, c)
    return { namespace: suffix, domain, ...(id === undefined ? {} : { id }), status: lowest(status, apex) }
  }
  throw new ClientError('FNA_ERR_NOTFOUND', 'no suffix of this name is a namespace (there is no _fnap record)')
}

function readRecord(records: readonly DnsRecord[], suffix: string): { domain: string; id?: string } {
  const texts = records.flatMap(r => (r.type === 'TXT' ? [r.strings] : []))
  if (texts.length !== 1) throw new ClientError('FNA_ERR_CORRUPT', 'there is more than one _fnap record')
  try {
    const record = parseFnapRecord(texts, suffix)
    if (record) return record
  } catch (cause) {
    const why = isFnapError(cause) ? cause.sentence : 'it cannot be read'
    throw new ClientError('FNA_ERR_CORRUPT', `the _fnap record is not valid: ${why}`, { cause })
  }
  throw new ClientError('FNA_ERR_CORRUPT', 'the record at _fnap is of another version or kind')
}

/**
 * A domain must be the apex of a zone: who may write only flows into a zone could else make up domains inside it (H12).
 * @returns the status of the answer
 */
async function findApex(resolve: ResolveAny, domain: string, c: Call): Promise<Status> {
  const answer = sound(await resolve(domain, 'SOA', c))
  if (answer.records.some(r => r.name === domain)) return answer.status
  throw new ClientError('FNA_ERR_CORRUPT', "the _fnap record names a domain that is not a zone's apex (it has no SOA)")
}

/**
 * Where the agent of a namespace is: SRV at `_fnap._tcp.<namespace>`, and whether it speaks TLS from the first byte: the
 * word `tls` in a TXT record beside it.
 * @param random for the choice by weight; Math.random if absent
 * @throws FNA_ERR_NOTFOUND where there is no SRV record, FNA_ERR_UNAVAILABLE
 */
export async function findAgent(
  resolve: Resolve,
  namespace: string,
  c: Call,
  random: () => number = Math.random,
): Promise<AgentFound> {
  const owner = `_fnap._tcp.${namespace}`
  const [srv, txt] = await Promise.all([resolve(owner, 'SRV', c).then(sound), resolve(owner, 'TXT', c).then(sound)])
  const places = order(srv.records, random)
  if (places.length === 0)
    throw new ClientError('FNA_ERR_NOTFOUND', 'the namespace says nowhere where its agent is (no SRV)')
  const strings = txt.records.flatMap(r => (r.type === 'TXT' ? r.strings : []))
  return { places, tls: parseWords(strings).has('tls'), status: lowest(srv.status, txt.status) }
}

/**
 * Where the agent of this name is: SRV at its own name, then the addresses of the target. That is what the thesis's CLI
 * asks (transcripts T7, T9, T12). Without SRV it is the name itself, on port 61000.
 * @throws FNA_ERR_NOTFOUND where the target has no address, FNA_ERR_UNAVAILABLE
 */
export async function findAgentByHost(
  resolve: Resolve,
  fqdn: string,
  c: Call,
  random: () => number = Math.random,
): Promise<AgentFound & { readonly addresses: readonly string[] }> {
  const srv = sound(await resolve(fqdn, 'SRV', c))
  const found = order(srv.records, random)
  const places = found.length > 0 ? found : [{ host: fqdn, port: DEFAULT_PORT }]
  const first = places[0] as Place
  const a = sound(await resolve(first.host, 'A', c))
  const aaaa = a.records.length > 0 ? null : sound(await resolve(first.host, 'AAAA', c))
  const addresses = [...a.records, ...(aaaa?.records ?? [])].flatMap(r => ('address' in r ? [r.address] : []))
  if (addresses.length === 0) throw new ClientError('FNA_ERR_NOTFOUND', 'the host of the agent has no address')
  const status = lowest(lowest(srv.status, a.status), aaaa?.status ?? 'secure')
  return { places, addresses, tls: false, status }
}

/** By priority, and within one by weighted chance (RFC 2782, "Usage rules"). */
function order(records: readonly DnsRecord[], random: () => number): Place[] {
  const left = records.filter(r => r.type === 'SRV').sort((a, b) => a.priority - b.priority || a.weight - b.weight)
  const places: Place[] = []
  while (left.length > 0) {
    const equal = left.filter(r => r.priority === left[0]?.priority)
    const total = equal.reduce((sum, r) => sum + r.weight, 0)
    let at = Math.floor(random() * (total + 1))
    const chosen = equal.find(r => {
      at -= r.weight
      return at <= 0
    })
    if (!chosen) break
    left.splice(left.indexOf(chosen), 1)
    places.push({ host: chosen.target, port: chosen.port })
  }
  return places
}
