import { FnaError } from '../contract/errors.js'
import type { AnyPlugin } from '../contract/plugin.js'
import { checkPlugins } from '../host/boot.js'
import { type Config, flattenPlugins } from './define.js'
import type { LoadedConfig } from './load.js'
import { locate } from './locate.js'
import { problemsOf } from './problems.js'
import { type Problem, rules } from './rules.js'
import { CONFIG_SCHEMA } from './schema.js'

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

async function describe(p: Problem, loaded: LoadedConfig): Promise<string> {
  const at = await locate(loaded.source, loaded.file, p.path)
  return `${loaded.file}${at ? `:${at.line}:${at.column}` : ''}: ${p.message}`
}
