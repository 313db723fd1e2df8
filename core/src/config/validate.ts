import { FnaError } from '../contract/errors.js'
import type { AnyPlugin } from '../contract/plugin.js'
import { checkPlugins } from '../host/boot.js'
import { type Config, flattenPlugins } from './define.js'
import type { LoadedConfig } from './load.js'
import { at, factoryAt, locate } from './locate.js'
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
  problems.push(...(await problemsOf(CONFIG_SCHEMA, rest, [])), ...rules(loaded.config, plugins))
  if (!Array.isArray(raw) && !problems.some(p => p.message.endsWith('did you mean plugins?')))
    problems.push({ path: ['plugins'], message: 'plugins must be a list: what the agent is composed of' })
  for (const [i, plugin] of plugins.entries()) {
    if (typeof plugin?.setup !== 'function' || !plugin.manifest) {
      problems.push(await noPlugin(loaded, plugin, i))
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

/** What stands in the list and is no plugin: mostly a factory that nobody called. */
async function noPlugin(loaded: LoadedConfig, found: unknown, i: number): Promise<Problem> {
  const index = (loaded.config.plugins as unknown[]).indexOf(found)
  const path = index < 0 ? ['plugins'] : ['plugins', String(index)]
  if (typeof found !== 'function')
    return {
      path,
      message: `plugins.${i} is ${typeof found}: it must be what a plugin's factory returns, such as storeLmdb()`,
    }
  const name = (await factoryAt(loaded.source, index)) ?? (found.name || 'the factory')
  return { path, message: `plugins.${i} is ${name} itself: it must be what it returns; call it: ${name}()` }
}

async function describe(p: Problem, loaded: LoadedConfig): Promise<string> {
  return `${loaded.file}${at(await locate(loaded.source, loaded.file, p.path))}: ${p.message}`
}
