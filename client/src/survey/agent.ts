import { X509Certificate } from 'node:crypto'
import { FnapConnection } from '../connection.js'
import { makeDial } from '../dial.js'
import { hasCode } from '../errors.js'
import { AddressGuard } from '../guard.js'
import { ReplyError } from '../reply.js'
import { ALPN, type SecureOptions } from '../secure.js'
import { broken, command, type Finding, fine, option, record, warning } from './finding.js'
import type { Tell } from './names.js'
import type { Found, FoundPlace, Plan } from './plan.js'
import { serverText } from './questions.js'

/** A user may look anywhere: which addresses strangers refuse has been said. An agent goes only where its guard lets it. */
const EVERYWHERE = new AddressGuard({ allow: ['0.0.0.0/0', '::/0'] })
const CONNECT_MS = 5000

/** Chains that end nowhere that is known here: the key in DNS is what agents go by, so that is no end. */
const UNKNOWN_CA: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/**
 * TCP, TLS and greeting of the first of an agent's places that takes connections. TLS as agents demand it of each other:
 * 1.3, `fnap/1` by ALPN, a certificate for the domain.
 * @returns a connection inside TLS, null where a layer is broken
 */
export async function surveyAgent(plan: Plan, found: Found, tell: Tell): Promise<FnapConnection | null> {
  const first = await attempt(plan, found, 'required', tell)
  if (first !== 'unknown CA') return first
  const text = `the certificate there is of a CA that is not trusted here: level pkix is not reached, and no user logs in without knowing it`
  const known = option('--ca <file>', 'the command line, where the agent has a CA of its own')
  tell(
    warning(
      'tls',
      'ca',
      text,
      ...(plan.refused === 'warning' ? [known] : []),
      certificateOption(found, found.places[0]!.host),
    ),
  )
  const second = await attempt(plan, found, 'recorded', f => f.layer !== 'tcp' && tell(f))
  return second === 'unknown CA' ? null : second
}

/** Once, with the certificate verified, or looked at here where its CA is not known. */
async function attempt(
  plan: Plan,
  found: Found,
  certificate: 'required' | 'recorded',
  tell: Tell,
): Promise<FnapConnection | 'unknown CA' | null> {
  const reached = await connectAny(plan, found, tell)
  if (!reached) return null
  const { socket, place } = reached
  const ca = plan.ca === undefined ? {} : { ca: plan.ca }
  const tls: SecureOptions = { servername: found.domain, alpn: 'offered', timeoutMs: CONNECT_MS, certificate, ...ca }
  let connection: FnapConnection | undefined
  try {
    const opt = { greetingMs: CONNECT_MS, replyMs: CONNECT_MS }
    connection = await FnapConnection.connect(socket, found.tls ? { ...opt, tls } : opt, plan.c)
    if (!found.tls) {
      const { starttls } = await connection.capabilities()
      if (!starttls) return fail(connection, tell, noTls(place))
      await connection.starttls(tls, plan.c)
    }
    const wrong = channelFault(found, place, connection)
    if (wrong) return fail(connection, tell, wrong)
    const { tls: channel } = connection.peerInfo()
    const how = `${channel?.version}${found.tls ? '' : ' by STARTTLS'}`
    tell(fine('tls', 'certificate', `${how}, the certificate is for ${found.domain}`))
    tell(fine('greeting', 'greeting', `it greets as ${connection.greeting}, an FNAA`))
    return connection
  } catch (e) {
    connection?.destroy()
    ;(socket as { destroy?: () => void }).destroy?.()
    if (certificate === 'required' && UNKNOWN_CA.has(codeOf(e))) return 'unknown CA'
    tell(whyNoTalk(found, place, e, connection !== undefined))
    return null
  }
}

const codeOf = (e: unknown): string => ((e as Error).cause as { code?: string } | undefined)?.code ?? ''

/** What agents demand of a channel, and of a certificate whose CA they do not know. */
function channelFault(found: Found, place: FoundPlace, connection: FnapConnection): Finding | null {
  const { tls } = connection.peerInfo()
  const lacks = tls?.version !== 'TLSv1.3' ? 'TLS 1.3' : tls.alpn !== ALPN ? `${ALPN} by ALPN` : null
  if (lacks) return unfit(place, lacks)
  if (tls?.verified || !tls?.certificate) return null
  const shown = new X509Certificate(tls.certificate)
  const cert = { subjectaltname: shown.subjectAltName ?? '', valid_to: shown.validTo }
  const code =
    shown.checkHost(found.domain) === undefined
      ? 'ERR_TLS_CERT_ALTNAME_INVALID'
      : Date.parse(shown.validTo) < Date.now()
        ? 'CERT_HAS_EXPIRED'
        : null
  return code && badCertificate(found, place.host, { cause: { code, cert } })
}

function fail(connection: FnapConnection, tell: Tell, finding: Parameters<Tell>[0]): null {
  tell(finding)
  connection.destroy()
  return null
}

async function connectAny(plan: Plan, found: Found, tell: Tell) {
  const dial = makeDial({
    resolve: () => Promise.reject(new Error('resolved already')),
    guard: plan.refused === 'broken' ? plan.guard : EVERYWHERE,
    timeoutMs: CONNECT_MS,
  })
  const refused: { at: string; why: string; place: FoundPlace }[] = []
  for (const place of found.places) {
    for (const host of place.addresses) {
      const at = serverText({ host, port: place.port })
      try {
        const socket = await dial({ host, port: place.port }, plan.c)
        tell(fine('tcp', 'port', `${at} takes connections`))
        return { socket, place }
      } catch (e) {
        refused.push({ at, place, why: (e as { cause?: { code?: string } }).cause?.code ?? '' })
      }
    }
  }
  const [first] = refused
  if (!first) return null
  const { at, why, place } = first
  const told: Readonly<Record<string, string>> = {
    ECONNREFUSED: `nothing listens at ${at}`,
    EHOSTUNREACH: `there is no way to ${at}`,
    ENETUNREACH: `there is no way to ${at}`,
  }
  const srv = `_fnap._tcp.${found.namespace}. 300 IN SRV 0 0 <port of the agent> ${place.host}.`
  tell(
    broken(
      'tcp',
      'port',
      told[why] ?? `nobody answers at ${at}: a firewall, or a machine that is off`,
      command('fnaad --config <file>', `${place.host}: start the agent, with listen at that port`),
      ...(why === 'ECONNREFUSED' ? [] : [command(`ufw allow ${place.port}/tcp`, `the firewall of ${place.host}`)]),
      record(srv, `the zone of ${found.namespace}, where it listens at another port`),
    ),
  )
  return null
}

const noTls = ({ host }: FoundPlace) =>
  broken(
    'tls',
    'tls',
    'the agent offers no TLS, and no other agent logs in without',
    option("tls: { cert: '<file>', key: '<file>' }", `the config of the agent at ${host}`),
  )

const unfit = ({ host }: FoundPlace, lacks: string) =>
  broken(
    'tls',
    'tls',
    `TLS there is without ${lacks}, which agents demand of each other: something stands between that ends TLS`,
    option('pass TCP through (by SNI at most): TLS ends in the agent', `the proxy before ${host}`),
  )

/** What went wrong between the first byte and the greeting. */
function whyNoTalk(found: Found, place: FoundPlace, e: unknown, greeted: boolean) {
  const tlsRecord = `_fnap._tcp.${found.namespace}. 300 IN TXT "tls"`
  const host = place.host
  if (e instanceof ReplyError && greeted) return noTls(place)
  if (e instanceof ReplyError)
    return broken(
      'greeting',
      'greeting',
      `${host} greets with a refusal: ${e.message}`,
      command('again, in a while', 'this machine'),
    )
  if (hasCode(e, 'FNA_ERR_DENIED') && /certificate/.test((e as Error).message)) return badCertificate(found, host, e)
  if (hasCode(e, 'FNA_ERR_DENIED') || hasCode(e, 'FNA_ERR_CORRUPT'))
    return broken(
      'greeting',
      'greeting',
      `what answers at ${host}:${place.port} is no FNAA: its greeting is not 220 <host> FNAA`,
      record(
        `_fnap._tcp.${found.namespace}. 300 IN SRV 0 0 <port of the agent> <host of the agent>.`,
        `the zone of ${found.namespace}`,
      ),
    )
  if (greeted || (found.tls && /TLS/.test((e as Error).message)))
    return broken(
      'tls',
      'tls',
      `no TLS at ${host}:${place.port}: ${(e as Error).message}`,
      ...(found.tls
        ? [record(`; remove: ${tlsRecord}`, `the zone of ${found.namespace}, where the port speaks STARTTLS`)]
        : []),
      option("tls: { cert: '<file>', key: '<file>' }", `the config of the agent at ${host}`),
    )
  return broken(
    'greeting',
    'greeting',
    `${host}:${place.port} says nothing that is a greeting`,
    ...(found.tls
      ? []
      : [record(tlsRecord, `the zone of ${found.namespace}, where the port speaks TLS from the first byte`)]),
  )
}

interface CertificateError {
  readonly code?: string
  readonly cert?: { readonly subjectaltname?: string; readonly valid_to?: string }
}

const certificateOption = ({ domain }: Found, host: string) =>
  option(
    "tls: { cert: '<file>', key: '<file>' }",
    `the config of the agent at ${host}: a certificate for ${domain} and ${host}`,
  )

function badCertificate(found: Found, host: string, e: unknown) {
  const { code, cert } = ((e as Error).cause ?? {}) as CertificateError
  const { domain } = found
  const get = certificateOption(found, host)
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return broken(
        'tls',
        'certificate',
        `the certificate there is for ${(cert?.subjectaltname ?? 'other names').replaceAll('DNS:', '')}, not for ${domain}`,
        get,
      )
    case 'CERT_HAS_EXPIRED':
      return broken(
        'tls',
        'certificate',
        `the certificate there ended${cert?.valid_to ? ` on ${cert.valid_to}` : ''}`,
        get,
      )
    case 'CERT_NOT_YET_VALID':
      return broken(
        'tls',
        'certificate',
        'the certificate there is not valid yet: its clock or that of this machine is wrong',
        command('timedatectl set-ntp true', `this machine, and ${host}`),
        get,
      )
    default:
      return broken('tls', 'certificate', `the certificate there does not hold (${code ?? 'no code'})`, get)
  }
}
