import { existsSync } from 'node:fs'
import { delimiter, dirname, join, resolve, sep } from 'node:path'

/** Where a command would be typed; tests give their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

/** Directories that npm and npx put into PATH for their children: the user's own shell does not look there. */
const OF_NPM = join('node_modules', '.bin')

/**
 * How a user types a program of ours here, for commands that messages advise: by its name where it is installed, by `npx`
 * in a clone (or any project that has it), else by its name.
 */
export function typed(program: 'fnua' | 'fnaad', { env, cwd }: Surroundings): string {
  const path = (env['PATH'] ?? '').split(delimiter).filter(d => d !== '' && !d.endsWith(OF_NPM))
  if (path.some(directory => existsSync(join(directory, program)))) return program
  for (let at = resolve(cwd); ; at = dirname(at)) {
    if (existsSync(join(at, OF_NPM, program))) return `npx ${program}`
    if (at === dirname(at)) return program
  }
}

/** A word as a POSIX shell takes it: quoted where it holds anything but letters, digits and the harmless signs. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** A path as it is shorter to type: from `cwd` where it lies below it, else absolute. */
export function shortPath(path: string, cwd: string): string {
  const absolute = resolve(path)
  const base = resolve(cwd)
  const below = base.endsWith(sep) ? base : base + sep
  return absolute.startsWith(below) ? absolute.slice(below.length) : absolute
}
