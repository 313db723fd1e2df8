import { isIP } from 'node:net'
import { isLoopback, Networks } from '@fnaa/client'
import type { AnyPlugin } from '../contract/plugin.js'
import { type Config, PERIOD_FLOORS } from './define.js'

/** One thing that is wrong, with where it stands and what to do. */
export interface Problem {
  readonly path: readonly string[]
  readonly message: string
}

/** What no schema says: rules over several options, and over the list of plugins. Nothing is opened for them. */
export function rules(config: Config, plugins: readonly AnyPlugin[]): Problem[] {
  return [
    ...ports(config),
    ...resolvers(config),
    ...trusted(config),
    ...ranges(config),
    ...listeners(config),
    ...periods(config),
    ...names(config),
    ...kinds(config, plugins),
  ]
}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

/** A pattern counts digits; what they come to is looked at here. */
function ports(config: Config): Problem[] {
  const given: [path: string[], text: unknown, least: number][] = [
    ...list(config.listen).map((text, i): [string[], unknown, number] => [['listen', String(i)], text, 0]),
    [['advertise'], config.advertise, 1],
    [['moved'], config.moved, 1],
  ]
  return given.flatMap(([path, text, least]) => {
    const port = typeof text === 'string' ? /:(\d+)$/.exec(text)?.[1] : undefined
    if (port === undefined || (Number(port) >= least && Number(port) <= 65_535)) return []
    const free = least === 0 ? ' (0 takes a free one)' : ''
    return [{ path, message: `${path.join('.')} is ${text}: a port is ${least} to 65535${free}` }]
  })
}

/** Names would have to be resolved first, by whom? */
function resolvers(config: Config): Problem[] {
  return list(config.resolver?.servers).flatMap((text, i) => {
    const m = typeof text === 'string' ? /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) : undefined
    if (m === undefined) return []
    const port = Number(m?.[3])
    if (m && isIP(m[1] ?? m[2] ?? '') !== 0 && port >= 1 && port <= 65_535) return []
    const path = ['resolver', 'servers', String(i)]
    const rule = 'it must be the IP address and port of a DNS server, such as 127.0.0.1:53 or [::1]:53'
    return [{ path, message: `resolver.servers.${i} is ${text}: ${rule}` }]
  })
}

/** Whom a resolver has told that an answer is signed, is heard by everybody on the way (RFC 4035 §4.9.3). */
function trusted(config: Config): Problem[] {
  if (config.resolver?.trustAd !== true || rangesOf(config, 'resolver', 'trustNetworks').length > 0) return []
  const networks = new Networks(list(config.resolver.trustNetworks).map(String), 'a trusted network')
  const far = list(config.resolver.servers).find(s => {
    const host = typeof s === 'string' ? s.slice(0, s.lastIndexOf(':')).replace(/^\[|\]$/g, '') : '127.0.0.1'
    return !isLoopback(host) && !networks.has(host)
  })
  const rule = 'it needs a validating resolver on loopback, such as 127.0.0.1:53, or on one of resolver.trustNetworks'
  return far === undefined
    ? []
    : [{ path: ['resolver', 'trustAd'], message: `resolver.trustAd is true: ${rule}, not ${far}` }]
}

function ranges(config: Config): Problem[] {
  return [...rangesOf(config, 'network', 'allow'), ...rangesOf(config, 'resolver', 'trustNetworks')]
}

function rangesOf(config: Config, section: 'network' | 'resolver', option: string): Problem[] {
  const given = (config[section] as Record<string, unknown> | undefined)?.[option]
  return list(given).flatMap((text, i) => {
    try {
      new Networks([String(text)], '')
      return []
    } catch {
      const rule = 'it must be an address or a range, such as 192.168.1.0/24'
      return [{ path: [section, option, String(i)], message: `${section}.${option}.${i} is ${text}: ${rule}` }]
    }
  })
}

function listeners(config: Config): Problem[] {
  if (config.tls) return []
  return list(config.listen).flatMap((text, i) =>
    typeof text === 'string' && text.startsWith('tls:')
      ? [
          {
            path: ['listen', String(i)],
            message: `listen.${i} is ${text}: it needs a certificate; give tls with cert and key, or with development`,
          },
        ]
      : [],
  )
}

function periods(config: Config): Problem[] {
  return Object.entries(config.federation ?? {}).flatMap(([key, value]) => {
    const floor = PERIOD_FLOORS[key as keyof typeof PERIOD_FLOORS]
    return floor !== undefined && typeof value === 'number' && value < floor
      ? [{ path: ['federation', key], message: `federation.${key} is ${value} s: it must be at least ${floor} s` }]
      : []
  })
}

/** What a boot would refuse, or what could never work. */
function names(config: Config): Problem[] {
  const domains = list(config.domains)
  // Without domains nothing lies in them: that is said already.
  if (domains.length === 0) return []
  const outside = list(config.namespaces)
    .map((n, i) => [i, typeof n === 'string' ? n : (n as { name?: unknown } | null)?.name] as const)
    .filter((n): n is [number, string] => typeof n[1] === 'string')
    .filter(([, n]) => !domains.some(d => n === d || n.endsWith(`.${d}`)))
    .map(([i, n]) => ({
      path: ['namespaces', String(i)],
      message: `namespaces.${i} is ${n}: it lies in none of domains (${domains.join(', ')}); name it below one of them`,
    }))
  const strangers = list(config.administrators)
    .map((a, i) => [i, a] as const)
    .filter(([, a]) => !domains.some(d => typeof a === 'string' && a.endsWith(`@${d}`)))
    .map(([i, a]) => ({
      path: ['administrators', String(i)],
      message: `administrators.${i} is ${a}: it must be user@domain, of one of domains, such as alice@${domains[0] ?? 'example.org'}`,
    }))
  return [...outside, ...strangers]
}

/** What an agent of this config would lack to be of any use. */
function kinds(config: Config, plugins: readonly AnyPlugin[]): Problem[] {
  // Of something that is no plugin nobody knows what it would have been.
  if (!Array.isArray(config.plugins) || plugins.some(p => !p?.manifest)) return []
  const has = (kind: string) => plugins.some(p => p?.manifest?.kind === kind)
  const namespaces = list(config.namespaces).length > 0
  const missing: [boolean, string][] = [
    [!has('store'), 'plugins has no store: add one, such as storeLmdb()'],
    [!has('auth'), 'plugins has no auth plugin, so nobody could log in: add one, such as authSasl()'],
    [
      namespaces && !has('dns'),
      'plugins has no dns plugin, so nobody would find the namespaces: add one, such as dnsEmbedded(), or leave namespaces out',
    ],
    [
      namespaces && !has('broker'),
      'plugins has no broker that holds the flows of namespaces: add one, such as brokerEmbedded()',
    ],
  ]
  return missing.flatMap(([is, message]) => (is ? [{ path: ['plugins'], message }] : []))
}
