import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { FnaError } from '../contract/errors.js'
import type { Config, ConfigAt, ConfigExport } from './define.js'
import { locate, at as place } from './locate.js'
import { configError, evaluationError, noDefault } from './modules.js'
import { aliasesFor, baseFor } from './packages.js'
import { defaultConfig } from './yaml.js'

export interface LoadedConfig {
  readonly config: Config
  /** Absolute path, for messages. */
  readonly file: string
  /** The file from which modules that the config names are looked up: its own, or fnaad's where it lies elsewhere. */
  readonly base: string
  /** The text, so that an error can say line and column. */
  readonly source: string
}

/**
 * Loads a config on any supported Node without a build step of the operator's. `.ts` goes through jiti, `.js`/`.mjs`
 * are imported, `.yaml`/`.yml`/`.json` are data over the default set of plugins.
 * @throws FNA_ERR_CONFIG with the file's path where it cannot be read, parsed or evaluated
 */
export async function loadConfig(path: string, at: ConfigAt = {}): Promise<LoadedConfig> {
  const file = resolve(path)
  let source: string
  try {
    source = await readFile(file, 'utf8')
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'is a folder' : (e as Error).message
    throw new FnaError('FNA_ERR_CONFIG', `config ${file}: ${why}`, { cause: e })
  }
  const config = await evaluate(file, source, at)
  if (typeof config !== 'object' || config === null || !('plugins' in config)) {
    const none = isData(file) ? undefined : await noDefault(source)
    if (none) throw configError(file, none.where, none.message)
  }
  if (typeof config !== 'object' || config === null)
    throw configError(
      file,
      place(await locate(source, file, [])),
      'its default export must be what defineConfig returns, or a function that returns it',
    )
  return { config, file, base: baseFor(file), source }
}

const CODE = ['.ts', '.mts', '.js', '.mjs', '.cjs']
const DATA = ['.yaml', '.yml', '.json']
const isData = (file: string): boolean => DATA.includes(extname(file))

async function evaluate(file: string, source: string, at: ConfigAt): Promise<Config> {
  try {
    const exported = await exportOf(file, source)
    return typeof exported === 'function' ? await exported(at) : exported
  } catch (e) {
    if (e instanceof Error && (e as { code?: string }).code === 'FNA_ERR_CONFIG') throw e
    throw await evaluationError(file, source, e)
  }
}

async function exportOf(file: string, source: string): Promise<ConfigExport> {
  if (isData(file)) return defaultConfig(source, file)
  if (!CODE.includes(extname(file)))
    throw configError(file, '', `its name must end in one of ${[...CODE, ...DATA].join(' ')}`)
  return ['.ts', '.mts'].includes(extname(file)) ? importTypescript(file) : importModule(file)
}

/** A config outside the project finds our packages by way of jiti only: the module loader has no second place to look. */
async function importModule(file: string): Promise<ConfigExport> {
  if (Object.keys(aliasesFor(file)).length > 0) return importTypescript(file)
  return ((await import(pathToFileURL(file).href)) as { default: ConfigExport }).default
}

async function importTypescript(file: string): Promise<ConfigExport> {
  // Required, not imported: Node reads a CommonJS file twice to import it, and this one is large.
  const { createJiti } = createRequire(import.meta.url)('jiti') as typeof import('jiti')
  const alias = aliasesFor(file)
  const jiti = createJiti(file, { interopDefault: true, tryNative: false, moduleCache: false, alias })
  return (await jiti.import(file, { default: true })) as ConfigExport
}
