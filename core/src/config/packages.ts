import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SCOPE = '@fnaa'

/** The directory whose `node_modules` has this very kernel and the packages beside it; undefined where there is none. */
function home(): string | undefined {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, 'node_modules', SCOPE, 'core'))) return at
  }
  return undefined
}

/** Our packages that a config finds, beside it or beside fnaad. */
export function packagesBeside(file: string): string[] {
  const own = home()
  const found = new Set<string>()
  for (let at = dirname(file); ; at = dirname(at)) {
    for (const name of namesIn(join(at, 'node_modules', SCOPE))) found.add(`${SCOPE}/${name}`)
    if (at === dirname(at)) break
  }
  for (const name of own === undefined ? [] : namesIn(join(own, 'node_modules', SCOPE))) found.add(`${SCOPE}/${name}`)
  return [...found]
}
const namesIn = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : [])

/** From which file modules are looked up for a config: from its own, where our packages are beside it, else from ours. */
export function baseFor(file: string): string {
  const own = home()
  return resolvable(file, `${SCOPE}/core`) || own === undefined ? file : join(own, 'package.json')
}

/**
 * Where a module is that a config names: beside the config, or else beside fnaad, so that a config may lie anywhere, as in
 * /etc. @throws as `require.resolve` does
 */
export function resolveFor(file: string, specifier: string): string {
  try {
    return createRequire(file).resolve(specifier)
  } catch (e) {
    const base = baseFor(file)
    if (base === file) throw e
    return createRequire(base).resolve(specifier)
  }
}

/** Our packages that a config outside finds nowhere, by what it imports: its module's file. */
export function aliasesFor(file: string): Record<string, string> {
  const base = baseFor(file)
  if (base === file) return {}
  const scope = join(dirname(base), 'node_modules', SCOPE)
  const found: Record<string, string> = {}
  for (const name of readdirSync(scope)) {
    for (const specifier of exportsOf(join(scope, name))) {
      if (!resolvable(file, specifier) && resolvable(base, specifier))
        found[specifier] = createRequire(base).resolve(specifier)
    }
  }
  return found
}

/** `@fnaa/core`, `@fnaa/core/plugin` … */
function exportsOf(directory: string): string[] {
  const text = readFileSync(join(directory, 'package.json'), 'utf8')
  const { name, exports = {} } = JSON.parse(text) as { name: string; exports?: Record<string, unknown> }
  return Object.keys(exports)
    .filter(entry => !entry.endsWith('.json'))
    .map(entry => name + entry.slice(1))
}

function resolvable(file: string, specifier: string): boolean {
  try {
    createRequire(file).resolve(specifier)
    return true
  } catch {
    return false
  }
}
