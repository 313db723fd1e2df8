import type { Ajv, ErrorObject } from 'ajv'
import { FnaError } from '../contract/errors.js'
import type { AnyPlugin } from '../contract/plugin.js'
import { checkPlugins } from '../host/boot.js'
import { type Config, flattenPlugins } from './define.js'
import type { LoadedConfig } from './load.js'
import { locate } from './locate.js'
import { type Problem, rules } from './rules.js'
import { CONFIG_SCHEMA } from './schema.js'
import { nearest } from './suggest.js'

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
 * @param look what else is looked at: files and folders, for `fnaad check` and before a boot
 * @throws ConfigError
 */
export async function validate(
  loaded: LoadedConfig,
  look?: (config: Config) => Promise<Problem[]>,
): Promise<{ config: Config; plugins: AnyPlugin[] }> {
  const { plugins: raw, ...rest } = loaded.config
  const plugins = flattenPlugins(Array.isArray(raw) ? raw : [])
  const problems: Problem[] = []
  if (!Array.isArray(raw)) problems.push({ path: ['plugins'], message: 'plugins must be a list' })
  problems.push(...(await problemsOf(CONFIG_SCHEMA, rest, [])), ...rules(loaded.config, plugins))
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
    } catch (e) {
      problems.push({ path: ['plugins'], message: (e as Error).message })
    }
  }
  // Where an option is wrong as such, what it leads to is another matter.
  if (look) problems.push(...(await look(loaded.config)).filter(p => !problems.some(q => q.path[0] === p.path[0])))
  if (problems.length > 0) throw new ConfigError(await Promise.all(problems.map(p => describe(p, loaded))))
  return { config: loaded.config, plugins }
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
  return meant(check.errors ?? []).map(e => problem(e, schema, value, base, plugin))
}

/** Of a choice between forms, the errors of the form that was meant: the one with the fewest. */
function meant(errors: readonly ErrorObject[]): ErrorObject[] {
  const BRANCH = /^(.*\/oneOf)\/(\d+)\//
  const misfits = new Map<string, Map<string, number>>()
  for (const e of errors) {
    const [, choice, branch] = BRANCH.exec(e.schemaPath) ?? []
    if (choice === undefined || branch === undefined) continue
    const at = `${choice} ${root(e, errors)}`
    const counts = misfits.get(at) ?? new Map<string, number>()
    // A text where an object is meant, or the reverse, is another form altogether.
    const weight = e.keyword === 'type' && e.instancePath === root(e, errors) ? 100 : 1
    misfits.set(at, counts.set(branch, (counts.get(branch) ?? 0) + weight))
  }
  return errors.filter(e => {
    const [, choice, branch] = BRANCH.exec(e.schemaPath) ?? []
    if (choice === undefined) return e.keyword !== 'oneOf'
    const counts = [...misfits.get(`${choice} ${root(e, errors)}`)!].sort(
      (a, b) => a[1] - b[1] || Number(a[0]) - Number(b[0]),
    )
    return counts[0]?.[0] === branch
  })
}

/** The value to which a choice applied, around an error of one of its forms. */
const root = (e: ErrorObject, errors: readonly ErrorObject[]): string =>
  errors.find(o => o.keyword === 'oneOf' && e.schemaPath.startsWith(o.schemaPath) && within(e, o))?.instancePath ??
  e.instancePath
const within = (e: ErrorObject, o: ErrorObject): boolean => `${e.instancePath}/`.startsWith(`${o.instancePath}/`)

function problem(e: ErrorObject, schema: object, value: unknown, base: string[], plugin?: string): Problem {
  const path = e.instancePath.split('/').slice(1)
  const prefix = plugin ? `plugin '${plugin}': ` : ''
  const name = prefix + [...(plugin ? ['options'] : []), ...path].join('.')
  if (e.keyword === 'additionalProperties') {
    const unknown = String(e.params['additionalProperty'])
    const known = Object.keys((valueAt(schema, schemaPath(e)) as { properties?: object })?.properties ?? {})
    const hint = nearest(unknown, known)
    const advice = hint ? `did you mean ${hint}?` : `known are: ${known.join(', ') || 'none'}`
    return {
      path: [...base, ...path, unknown],
      message: `${name ? `${name}.` : ''}${unknown} is not an option; ${advice}`,
    }
  }
  if (e.keyword === 'required') {
    const missing = String(e.params['missingProperty'])
    return { path: [...base, ...path], message: `${name ? `${name}.` : ''}${missing} is missing: the agent needs it` }
  }
  return {
    path: [...base, ...path],
    message: `${name || 'the config'} is ${shown(valueAt(value, path))}: it ${rule(e, schema)}`,
  }
}

/** The rule that a value breaks, in words: of a pattern, what the schema says of it. */
function rule(e: ErrorObject, schema: object): string {
  if (e.keyword === 'enum') return `must be one of ${(e.params['allowedValues'] as unknown[]).join(', ')}`
  if (e.keyword === 'const') return `must be ${String(e.params['allowedValue'])}`
  const { description, examples } = (valueAt(schema, schemaPath(e)) ?? {}) as {
    description?: string
    examples?: string[]
  }
  if (e.keyword !== 'pattern' || description === undefined) return e.message ?? 'is wrong'
  return `must be ${description}${examples?.[0] === undefined ? '' : `, such as ${examples[0]}`}`
}

/** The schema's own way to what was broken, less the keyword. */
const schemaPath = (e: ErrorObject): string[] => e.schemaPath.replace(/^#\/?/, '').split('/').slice(0, -1)

const valueAt = (root: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((v, word) => (v as Record<string, unknown> | undefined)?.[word], root)

const LONGEST = 60
/** A value as an operator wrote it, cut where it is long. */
function shown(value: unknown): string {
  const text = typeof value === 'string' && value !== '' ? value : (JSON.stringify(value) ?? String(value))
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}

async function describe(p: Problem, loaded: LoadedConfig): Promise<string> {
  const at = await locate(loaded.source, loaded.file, p.path)
  return `${loaded.file}${at ? `:${at.line}:${at.column}` : ''}: ${p.message}`
}
