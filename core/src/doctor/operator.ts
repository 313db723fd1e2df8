import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AddressGuard, type DnsServer, survey } from '@fnaa/client'
import type { Config } from '../config/define.js'
import { addressOf } from '../names/seed.js'
import { askAgent } from '../server/admin-socket.js'
import { condition, timing } from './inner.js'
import { DOCTOR, type Inside } from './inside.js'
import { ownZone } from './own-zone.js'

const { broken, command, fine, record, warning } = survey

/** Who looks, and with which words the operator types it. */
export interface Look {
  readonly config: Config
  /** The servers that the agent asks. */
  readonly servers: readonly DnsServer[]
  readonly signal: AbortSignal
  /** How the agent is started. */
  readonly start: string
}

/** The agent's own domains, from inside and as the world sees them. */
export async function examineOwn(look: Look, tell: survey.Tell): Promise<void> {
  const { config } = look
  const inside = await askInside(config.data)
  if (inside) {
    tell(fine('agent', 'runs', `${config.host} runs`))
    for (const s of inside.services) condition(s, tell)
  } else tell(broken('agent', 'runs', `no agent runs with data ${config.data}`, command(look.start, 'this machine')))
  const plan = await planOf(look, inside?.agent ?? addressOf(config, []))
  try {
    if (inside) timing(inside, plan.now(), tell)
    for (const domain of config.domains) await examine(plan, config, domain, inside, tell)
    clock(plan, tell)
  } finally {
    plan.questions.close()
  }
}

/** Another participant's name, as this agent meets it: by its resolver, its guard, its CA. */
export async function examineOther(look: Look, name: string, tell: survey.Tell): Promise<void> {
  const { agent: _own, ...plan } = await planOf(look, addressOf(look.config, []))
  try {
    const found = await survey.surveyNames(plan, name, tell)
    const connection = found && (await survey.surveyAgent(plan, found, tell))
    if (!found || !connection) return
    const level = await survey.surveyKey(plan, found, connection, tell)
    if (level) trusted(look.config, found.domain, level, tell)
    connection.destroy()
  } finally {
    plan.questions.close()
  }
}

async function planOf({ config, servers, signal }: Look, agent: Inside['agent']): Promise<survey.Plan> {
  const { resolver, network } = config
  const ca = await ownCa(config)
  return {
    questions: new survey.Questions({
      servers,
      trustAd: resolver?.trustAd ?? false,
      trustNetworks: resolver?.trustNetworks ?? [],
    }),
    c: { signal },
    now: Date.now,
    guard: new AddressGuard({ allow: network?.allow ?? [] }),
    refused: 'broken',
    agent,
    ...(ca === undefined ? {} : { ca }),
  }
}

/** The CA that the agent's own certificate is of, where it is no public one. */
async function ownCa({ tls }: Config): Promise<string | undefined> {
  if (!tls) return undefined
  const file = 'development' in tls ? join(tls.development, 'ca.crt') : tls.ca
  return file === undefined ? undefined : readFile(file, 'utf8').catch(() => undefined)
}

async function examine(
  plan: survey.Plan,
  config: Config,
  domain: string,
  inside: Inside | null,
  tell: survey.Tell,
): Promise<void> {
  const zone = inside?.zones.find(z => z.zone === domain)
  if (inside && zone && !(await ownZone(plan, zone, inside, tell))) return
  const configured = (config.namespaces ?? []).map(n => (typeof n === 'string' ? n : n.name))
  const all =
    inside?.namespaces.filter(n => n.domain === domain).map(n => n.name) ?? configured.filter(n => n.endsWith(domain))
  let met: survey.Found | null = null
  for (const name of [domain, ...all.filter(n => n !== domain)]) {
    const found = await survey.surveyNames(plan, name, tell)
    if (!found) continue
    if (found.domain !== domain || found.namespace !== name) strange(name, domain, found, tell)
    else if (leadsHere(plan, found, tell)) met ??= found
  }
  if (met) await meet(plan, config, met, tell)
}

/** The name is a namespace of somebody else's making. */
function strange(name: string, domain: string, found: survey.Found, tell: survey.Tell): void {
  const text = `${name} is found as part of ${found.namespace}, whose agent proves ${found.domain}`
  tell(
    broken('dns', 'namespace', text, record(`_fnap.${name}. 300 IN TXT "v=FNAP1; d=${domain}"`, `the zone ${domain}`)),
  )
}

/** Do SRV and addresses say where this agent is? */
function leadsHere(plan: survey.Plan, found: survey.Found, tell: survey.Tell): boolean {
  const own = plan.agent!
  const place = found.places.find(p => p.host === own.host && p.port === own.port)
  if (!place) {
    const said = found.places.map(p => `${p.host}:${p.port}`).join(', ')
    tell(
      broken(
        'dns',
        'srv',
        `${found.namespace} leads to ${said}, and this agent is ${own.host}:${own.port}`,
        record(`_fnap._tcp.${found.namespace}. 300 IN SRV 0 0 ${own.port} ${own.host}.`, `the zone ${found.domain}`),
      ),
    )
    return false
  }
  const elsewhere = place.addresses.filter(a => !own.addresses.includes(a))
  if (own.addresses.length > 0 && elsewhere.length === place.addresses.length)
    tell(
      warning(
        'address',
        'address',
        `${own.host} is at ${place.addresses.join(', ')} in DNS, and by the config at ${own.addresses.join(', ')}`,
        ...own.addresses.map(a =>
          record(`${own.host}. 300 IN ${a.includes(':') ? 'AAAA' : 'A'} ${a}`, `the zone ${found.domain}`),
        ),
      ),
    )
  return true
}

/** TCP to key, as another agent goes. */
async function meet(plan: survey.Plan, config: Config, found: survey.Found, tell: survey.Tell): Promise<void> {
  const connection = await survey.surveyAgent(plan, found, tell)
  if (!connection) return
  try {
    if (connection.greeting !== config.host) {
      const text = `who answers there greets as ${connection.greeting}, and this agent is ${config.host}`
      tell(broken('greeting', 'host', text, command('fnaad check', 'the machine that answers')))
      return
    }
    if (plan.ca !== undefined)
      tell(
        warning(
          'tls',
          'ca',
          'the certificate is of a CA of its own: strangers do not know it, and do not see what is seen from here: to them level pkix is not reached',
        ),
      )
    await survey.surveyKey(plan, found, connection, tell)
  } finally {
    connection.destroy()
  }
}

/** Would this agent do business with a domain at this level? */
function trusted(config: Config, domain: string, level: survey.Level, tell: survey.Tell): void {
  const { levels = ['dnssec', 'pkix'], dns = [] } = config.trust ?? {}
  const suffices = level === 'dns' ? dns.includes(domain) : levels.includes(level)
  const mend = survey.option(`trust: { dns: ['${domain}'] }`, 'the config of this agent, if you know why')
  const short = `${domain} is proved at level ${level} only, which does not suffice here`
  tell(
    suffices
      ? fine('grants', 'trust', `level ${level} suffices here for ${domain}`)
      : broken('grants', 'trust', short, mend),
  )
}

/** What the resolver has just validated must be valid by this machine's clock too. */
function clock(plan: survey.Plan, tell: survey.Tell): void {
  const now = plan.now() / 1000
  const proved = plan.questions.asked.flatMap(a =>
    a.response?.authentic && plan.questions.heeds(a.server) ? a.response.signatures : [],
  )
  const off = proved.find(s => now < s.begins || now > s.expires)
  if (off)
    tell(
      broken(
        'clock',
        'signatures',
        `a signature of ${off.signer} that the resolver has just found valid holds from ${survey.day(off.begins)} to ${survey.day(off.expires)}, and here it is ${survey.day(Math.floor(now))}`,
        command('timedatectl set-ntp true', 'this machine'),
      ),
    )
  else if (proved.length > 0) tell(fine('clock', 'signatures', 'this clock agrees with the signatures in DNS'))
}

/** @returns null where no agent runs with this state */
async function askInside(data: string): Promise<Inside | null> {
  const lines = await askAgent(data, { name: DOCTOR.name, args: [] })
  return lines && (JSON.parse(lines[0] ?? 'null') as Inside | null)
}
