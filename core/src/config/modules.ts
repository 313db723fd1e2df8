import { dirname, resolve } from 'node:path'
import { FnaError } from '../contract/errors.js'
import { at, type Node, parsed, place } from './locate.js'
import { packagesBeside } from './packages.js'
import { nearest } from './suggest.js'

/** An error of a config file, with the line where it is known. */
export const configError = (file: string, where: string, message: string, cause?: unknown): FnaError =>
  new FnaError('FNA_ERR_CONFIG', `config ${file}${where}: ${message}`, cause === undefined ? {} : { cause })

/** What to do about a package that is not there, with the one that was probably meant. */
export function absent(file: string, name: string): string {
  const near = nearest(name, packagesBeside(file))
  return `it is installed neither beside the config nor beside fnaad; ${near === undefined ? '' : `did you mean ${near}? else `}npm install ${name}`
}

/** Why a config could not be evaluated: an import that leads nowhere, in its words; any other error with its line. */
export async function evaluationError(file: string, source: string, e: unknown): Promise<FnaError> {
  const message = e instanceof Error ? e.message : String(e)
  const missing = /^Cannot find (?:module|package) '([^']+)'/.exec(message)?.[1]
  const found = missing === undefined ? undefined : await importOf(source, file, missing)
  if (found) {
    const [{ specifier }, where] = [found, at(place(found.node))]
    const why = /^[./]/.test(specifier)
      ? 'there is no such file; a path is meant from where the config lies'
      : absent(file, packageOf(specifier))
    return configError(file, where, `import of ${specifier}: ${why}`, e)
  }
  return configError(file, ofStack(file, e), message, e)
}

/** The line of the config that the stack names first. */
function ofStack(file: string, e: unknown): string {
  const line = e instanceof Error ? e.stack?.split(`${file}:`)[1]?.match(/^\d+/)?.[0] : undefined
  return line === undefined ? '' : `:${line}`
}

/** `@fnaa/core/plugin` is of `@fnaa/core`. */
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

async function importOf(source: string, file: string, missing: string) {
  for (const node of await statements(source)) {
    const specifier = (node['source'] as Node | undefined)?.['value']
    if (typeof specifier !== 'string') continue
    if (specifier === missing || packageOf(specifier) === missing || resolve(dirname(file), specifier) === missing)
      return { node, specifier }
  }
  return undefined
}

/** What is wrong with the exports of a config that came to nothing; undefined where there is a default export. */
export async function noDefault(source: string): Promise<{ where: string; message: string } | undefined> {
  const all = await statements(source)
  const named = (n: Node) => ((n['specifiers'] ?? []) as Node[]).some(s => nameOf(s['exported'] as Node) === 'default')
  if (all.some(n => n.type === 'ExportDefaultDeclaration' || named(n))) return undefined
  if (/\bmodule\.exports\b/.test(source)) return undefined
  const other = all.find(n => n.type === 'ExportNamedDeclaration' && n['exportKind'] !== 'type')
  const declared = (other?.['declaration'] as Node | undefined)?.['declarations'] as Node[] | undefined
  const name = nameOf(declared?.[0]?.['id'] as Node | undefined)
  const instead = name === undefined ? '' : `; ${name} is exported by its name only`
  const advice = `write export default ${name === undefined ? 'defineConfig({ … })' : name}`
  return { where: other ? at(place(other)) : '', message: `it has no default export${instead}: ${advice}` }
}

const nameOf = (n: Node | undefined): string | undefined => (n?.['name'] ?? n?.['value']) as string | undefined

/** The statements of the config's text; none where it does not parse, which is said elsewhere. */
async function statements(source: string): Promise<Node[]> {
  try {
    return ((await parsed(source))['program'] as { body: Node[] }).body
  } catch {
    return []
  }
}
