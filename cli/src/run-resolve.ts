import { type AnyRecord, findAgent, findNamespace, lowest, type ResolveAny, survey } from '@fnaa/client'
import { type DnsRecord, isName, recordData } from '@fnaa/protocol'
import type { Context } from './context.js'
import { DnsFailure } from './dns-failure.js'
import { CliError, EXIT, usage } from './errors.js'
import { nameservers } from './nameservers.js'
import { document, isDocument, names, type Row, table } from './output.js'

/** One question as it is shown. */
interface Shown {
  readonly name: string
  readonly type: string
  /** Data of the records as zone files have it; `NXDOMAIN` and `NODATA` are answers too. */
  readonly answers: readonly string[]
  /** Seconds; absent where nothing was answered. */
  readonly ttl?: number
  readonly status: survey.Security
  readonly server: string
}

/** The name that a command is about: as it is typed, `flow://` and a final dot are left off. @throws CliError of usage */
export function nameGiven(words: readonly string[], verb: string): string {
  const [word, more] = words
  const name = word
    ?.toLowerCase()
    .replace(/^flow:\/\//, '')
    .replace(/\.$/, '')
  if (name === undefined || more !== undefined || !isName(name))
    throw usage(`fnua ${verb} takes one name of a flow or namespace, such as time.flows.example.org`, verb)
  return name
}

/** The questions of a run: asked afresh, and AD is heeded of a server on this machine. */
export function questionsOf(cx: Context): survey.Questions {
  const failure = new DnsFailure()
  return new survey.Questions({
    servers: nameservers(cx.settings, cx.config),
    trace: step => {
      failure.see(step)
      cx.debug.resolve(step)
    },
  })
}

/** `fnua resolve NAME`: the questions that find an agent, what was answered, and what comes of it. */
export async function runResolve(cx: Context, words: readonly string[]): Promise<void> {
  const name = nameGiven(words, 'resolve')
  const c = { signal: cx.interrupt }
  const q = questionsOf(cx)
  try {
    const end = await conclusion(q, name, c).catch((e: unknown) => e as Error)
    const questions = await shown(q, c)
    const failed = end instanceof Error
    const { output } = cx.settings
    if (isDocument(output)) {
      const rest = failed ? { error: end.message } : end
      await cx.out.write(await document({ name, questions, ...rest }, output))
    } else if (output === 'name') {
      if (!failed) await cx.out.write(names([end.agent]))
    } else {
      await cx.out.write(table(questions.flatMap(rows)))
      if (!failed) await cx.out.write(`\n${lines(end)}`)
    }
    if (failed) {
      cx.interrupt.throwIfAborted()
      const hint = `fnua doctor ${name}`
      throw new CliError(`${name} cannot be resolved: ${end.message}`, EXIT.unreachable, { hint, cause: end })
    }
  } finally {
    q.close()
  }
}

/** What the answers come to. */
interface Conclusion {
  readonly namespace: string
  /** What its agent must prove. */
  readonly domain: string
  /** `host:port`, the first to be tried. */
  readonly agent: string
  readonly addresses: readonly string[]
  readonly tls: 'implicit' | 'starttls'
  /** The lowest of all answers used. */
  readonly status: survey.Security
  /** What the names suffice for; `pkix` is for the agents to prove to each other. */
  readonly level: 'dnssec' | 'dns'
}

async function conclusion(q: survey.Questions, name: string, c: { signal: AbortSignal }): Promise<Conclusion> {
  const resolve = q.resolver.resolve as ResolveAny
  const ns = await findNamespace(resolve, name, c, { self: true })
  const agent = await findAgent(resolve, ns.namespace, c)
  const place = agent.places[0]!
  const answers = await Promise.all((['A', 'AAAA'] as const).map(type => q.resolver.resolve(place.host, type, c)))
  const status = [agent, ...answers].reduce((s, a) => lowest(s, a.status), ns.status)
  const known = status === 'secure' || (await q.validates(name, c)) ? status : 'indeterminate'
  return {
    namespace: ns.namespace,
    domain: ns.domain,
    agent: `${place.host}:${place.port}`,
    addresses: answers.flatMap(a => a.records.flatMap(r => ('address' in r ? [r.address] : []))),
    tls: agent.tls ? 'implicit' : 'starttls',
    status: known,
    level: status === 'secure' ? 'dnssec' : 'dns',
  }
}

function shown(q: survey.Questions, c: { signal: AbortSignal }): Promise<Shown[]> {
  return Promise.all(
    q.asked.map(async a => {
      const base = { name: a.name, type: a.type, status: await q.securityOf(a, c), server: survey.serverText(a.server) }
      const { response, error } = a
      if (!response) return { ...base, answers: [error?.message ?? 'no answer'] }
      const aliases = [...response.aliases].map(([name, { target, ttl }]) => ({ ttl, text: `${name}. is ${target}.` }))
      const found = [...aliases, ...response.answers.map(r => ({ ttl: r.ttl, text: dataOf(r) }))]
      if (found.length === 0)
        return { ...base, answers: [response.rcode === 3 ? 'NXDOMAIN' : 'NODATA'], ttl: response.negativeTtl ?? 0 }
      return { ...base, answers: found.map(f => f.text), ttl: Math.min(...found.map(f => f.ttl)) }
    }),
  )
}

function dataOf(r: AnyRecord): string {
  if (r.type === 'SOA') return `apex of ${r.name}.`
  return r.type === 'DNSKEY' ? '…' : recordData(r as DnsRecord)
}

const rows = (s: Shown): Row[] =>
  s.answers.map(
    answer =>
      new Map([
        ['question', s.name],
        ['type', s.type],
        ['answer', answer],
        ['ttl', s.ttl === undefined ? '-' : String(s.ttl)],
        ['status', s.status],
        ['from', s.server],
      ]),
  )

function lines({ addresses, ...c }: Conclusion): string {
  return Object.entries({ ...c, addresses: addresses.join(',') || '-' })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}
