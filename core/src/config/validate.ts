import type { Ajv, ErrorObject } from 'ajv'
import { FnaError } from '../contract/errors.js'
import type { AnyPlugin } from '../contract/plugin.js'
import { checkPlugins } from '../host/boot.js'
import { type Config, flattenPlugins, PERIOD_FLOORS } from './define.js'
import type { LoadedConfig } from './load.js'
import { locate } from './locate.js'
import { CONFIG_SCHEMA } from './schema.js'
import { nearest } from './suggest.js'

/** One thing that is wrong, with where it stands and what to do. */
export interface Problem {
  readonly path: readonly string[]
  readonly message: string
}

/** Every problem at once, in one error: an operator mends them in one go. */
export class ConfigError extends FnaError {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super('FNA_ERR_CONFIG', problems.join('\n'))
    this.problems = problems
  }
}

/**
 * Checks the whole config without opening anything: the kernel's options, each plugin's options by its own schema, and
 * what plugins would contend for.
 * @throws ConfigError
 */
export async function validate(loaded: LoadedConfig): Promise<{ config: Config; plugins: AnyPlugin[] }> {
  const { plugins: raw, ...rest } = loaded.config
  const plugins = flattenPlugins(Array.isArray(raw) ? raw : [])
  const problems: Problem[] = []
  if (!Array.isArray(raw)) problems.push({ path: ['plugins'], message: 'plugins must be a list' })
  problems.push(
    ...(await problemsOf(CONFIG_SCHEMA, rest, [])),
    ...periods(loaded.config),
    ...names(loaded.config, plugins),
  )
  for (const [i, plugin] of plugins.entries()) {
    if (typeof plugin?.setup !== 'function' || !plugin.manifest) {
      problems.push({ path: ['plugins'], message: `plugins.${i} is not what a plugin's factory returns` })
      continue
    }
    const factory = plugin.manifest.name.replace(/^@[^/]*\//, '')
    problems.push(...(await problemsOf(plugin.manifest.options, plugin.options, ['plugins', factory], plugin.id)))
  }
  if (problems.length === 0) {
    try {
      checkPlugins(plugins)
      if (!plugins.some(p => p.manifest.kind === 'store'))
        throw new Error('plugins has no store: add one, such as storeLmdb()')
    } catch (e) {
      problems.push({ path: ['plugins'], message: (e as Error).message })
    }
  }
  if (problems.length > 0) throw new ConfigError(await Promise.all(problems.map(p => describe(p, loaded))))
  return { config: loaded.config, plugins }
}

/** What a boot would refuse, or what could never work. */
function names(config: Config, plugins: readonly AnyPlugin[]): Problem[] {
  const domains = Array.isArray(config.domains) ? config.domains : []
  const namespaces = Array.isArray(config.namespaces) ? config.namespaces : []
  const outside = namespaces
    .map(n => (typeof n === 'string' ? n : String(n?.name)))
    .filter(n => !domains.some(d => n === d || n.endsWith(`.${d}`)))
    .map(n => ({ path: ['namespaces'], message: `namespaces: ${n} lies in none of domains (${domains.join(', ')})` }))
  const holds = plugins.some(
    p => p?.manifest?.kind === 'broker' && (p.manifest.supports as { reach?: string }).reach === 'process',
  )
  const brokers = plugins.filter(p => p?.manifest?.kind === 'broker').length
  const none = namespaces.length > 0 && !holds && brokers === 0
  const broker = none
    ? [
        {
          path: ['namespaces'],
          message: 'namespaces need a broker plugin that holds their flows: add one, such as brokerEmbedded()',
        },
      ]
    : []
  const administrators = Array.isArray(config.administrators) ? config.administrators : []
  const strangers = administrators
    .filter(a => !domains.some(d => typeof a === 'string' && a.endsWith(`@${d}`)))
    .map(a => ({ path: ['administrators'], message: `administrators: ${a} must be user@domain, of one of domains` }))
  return [...outside, ...broker, ...strangers]
}

function periods(config: Config): Problem[] {
  return Object.entries(config.federation ?? {}).flatMap(([key, value]) => {
    const floor = PERIOD_FLOORS[key as keyof typeof PERIOD_FLOORS]
    return floor !== undefined && typeof value === 'number' && value < floor
      ? [{ path: ['federation', key], message: `federation.${key} is ${value} s: it must be at least ${floor} s` }]
      : []
  })
}

let shared: Promise<Ajv> | undefined

/**
 * One validator for all schemas. They are the plugins' own code, tested with them: checking each against the meta-schema would
 * cost more than the whole rest of a start.
 */
function validator(): Promise<Ajv> {
  shared ??= import('ajv').then(m => new m.Ajv({ allErrors: true, strict: false, validateSchema: false, meta: false }))
  return shared
}

async function problemsOf(schema: object, value: unknown, base: string[], plugin?: string): Promise<Problem[]> {
  const check = (await validator()).compile(schema)
  if (check(value)) return []
  return (check.errors ?? [])
    .filter(
      e =>
        e.keyword !== 'oneOf' || !(check.errors ?? []).some(o => o !== e && o.instancePath.startsWith(e.instancePath)),
    )
    .map(e => problem(e, schema, base, plugin))
}

function problem(e: ErrorObject, schema: object, base: string[], plugin?: string): Problem {
  const path = e.instancePath.split('/').slice(1)
  const shown = (plugin ? [`plugin '${plugin}': `, 'options', ...path] : ['', ...path]) as string[]
  const name = shown[0] + shown.slice(1).join('.')
  if (e.keyword === 'additionalProperties') {
    const unknown = String(e.params['additionalProperty'])
    const known = Object.keys((schemaAt(schema, path) as { properties?: object })?.properties ?? {})
    const hint = nearest(unknown, known)
    const advice = hint ? `did you mean ${hint}?` : `known are: ${known.join(', ') || 'none'}`
    return {
      path: [...base, ...path, unknown],
      message: `${name ? `${name}.` : ''}${unknown} is not an option; ${advice}`,
    }
  }
  const choice = e.keyword === 'enum' ? `: ${(e.params['allowedValues'] as unknown[]).join(', ')}` : ''
  return { path: [...base, ...path], message: `${name || 'the config'} ${e.message ?? 'is wrong'}${choice}` }
}

function schemaAt(schema: object, path: readonly string[]): unknown {
  return path.reduce<unknown>((s, word) => {
    const node = s as { properties?: Record<string, unknown>; items?: unknown } | undefined
    return node?.properties?.[word] ?? node?.items
  }, schema)
}

async function describe(p: Problem, loaded: LoadedConfig): Promise<string> {
  const at = await locate(loaded.source, loaded.file, p.path)
  return `${loaded.file}${at ? `:${at.line}:${at.column}` : ''}: ${p.message}`
}
