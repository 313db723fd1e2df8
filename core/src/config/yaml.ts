import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { FnaError } from '../contract/errors.js'
import type { AnyPlugin } from '../contract/plugin.js'
import type { Config, ConfigAt } from './define.js'
import { at, locate } from './locate.js'
import { absent, configError } from './modules.js'
import { resolveFor } from './packages.js'
import { nearest } from './suggest.js'

/** A plugin in a data file: the package that has the factory, and its options. */
interface PluginEntry {
  readonly use: string
  readonly id?: string
  readonly options?: object
}
const ENTRY: readonly string[] = ['use', 'id', 'options']
type DataConfig = Omit<Config, 'plugins'> & { readonly plugins: readonly PluginEntry[] }

/**
 * A config as data: the same options, and `plugins` as a list of `use: <package>`, `id`, `options`. The package's
 * default export is the factory. Data cannot compute, so nothing in it is taken from {@link ConfigAt}.
 * @throws FNA_ERR_CONFIG with line and column where the text does not parse
 */
export async function defaultConfig(source: string, file: string): Promise<(at: ConfigAt) => Promise<Config>> {
  const { parseDocument } = await import('yaml')
  const document = parseDocument(source, { prettyErrors: true })
  const [error] = document.errors
  if (error) {
    const at = error.linePos?.[0]
    // Its further lines show the text of the file, which may be a password.
    const sentence = error.message.split('\n')[0]?.replace(/ at line.*$/, '') ?? ''
    throw new FnaError('FNA_ERR_CONFIG', `config ${file}:${at?.line ?? 1}:${at?.col ?? 1}: ${sentence}`)
  }
  const data = document.toJS() as DataConfig | null
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw configError(
      file,
      '',
      'must be options: host, domains, listen, data, plugins and the others of docs/guides/operate.md',
    )
  const beside = (path: string) => resolve(dirname(file), path)
  return async () => ({
    ...data,
    data: beside(data.data ?? '.fnaad'),
    ...(data.tls ? { tls: tlsBeside(data.tls, beside) } : {}),
    // What is no list is refused where all options are looked at.
    plugins: Array.isArray(data.plugins)
      ? await all(data.plugins.map((p, i) => fromEntry(p, i, file, source)))
      : (data.plugins as never),
  })
}

/** What all come to. @throws FNA_ERR_CONFIG with every one that failed: they are mended in one go */
async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const ends = await Promise.allSettled(work)
  const failed = ends.flatMap(e => (e.status === 'rejected' ? [e.reason as Error] : []))
  if (failed.length > 1)
    throw new FnaError('FNA_ERR_CONFIG', failed.map(e => e.message).join('\n'), { cause: failed[0] })
  return Promise.all(work)
}

/** Paths in a data file are meant from where it stands, whatever directory the agent is started in. */
function tlsBeside(tls: NonNullable<Config['tls']>, beside: (path: string) => string): Config['tls'] {
  const paths = Object.entries(tls).map(([k, v]) => [k, typeof v === 'string' ? beside(v) : v])
  return Object.fromEntries(paths) as Config['tls']
}

async function fromEntry(entry: PluginEntry, index: number, file: string, source: string): Promise<AnyPlugin> {
  const where = async (...path: string[]) =>
    at((await locate(source, file, ['plugins', index, ...path])) ?? (await locate(source, file, ['plugins', index])))
  const wrong = async (rule: string, cause?: unknown) =>
    configError(file, await where('use'), `plugins.${index}.use ${rule}`, cause)
  const given = typeof entry === 'object' && entry !== null ? Object.keys(entry) : []
  const unknown = given.find(key => !ENTRY.includes(key))
  if (unknown !== undefined) {
    const meant = nearest(unknown, ENTRY)
    const advice = meant === undefined ? `known are: ${ENTRY.join(', ')}` : `did you mean ${meant}?`
    throw configError(file, await where(unknown), `plugins.${index}.${unknown} is not an option; ${advice}`)
  }
  if (typeof entry?.use !== 'string') throw await wrong('must name a package, such as @fnaa/store-lmdb')
  let path: string
  try {
    path = resolveFor(file, entry.use)
  } catch (e) {
    throw await wrong(`is ${entry.use}: ${absent(file, entry.use)}`, e)
  }
  const module = (await import(pathToFileURL(path).href)) as { default?: (o: object, i: object) => AnyPlugin }
  if (typeof module.default !== 'function')
    throw await wrong(`is ${entry.use}: it has no factory as default export, so it is no plugin`)
  return module.default(entry.options ?? {}, entry.id === undefined ? {} : { id: entry.id })
}
