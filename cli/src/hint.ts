import { type Surroundings, shellWord, typed } from '@fnaa/client'
import { GLOBALS, type GlobalFlags } from './settings.js'

/** Options of the command line without which the next command would go elsewhere, or would not get in. */
const KEPT: readonly string[] = ['config', 'nameserver', 'agent', 'user', 'passwordStdin', 'ca', 'tls']

/**
 * The one place where advice becomes a command: in code a hint reads `fnua get flows`; here it gets the way in which fnua
 * is typed (`npx fnua` in a clone), and the options that this command line was given. What is no command stays.
 */
export function asTyped(hint: string, given: GlobalFlags, at: Surroundings): string {
  const program = typed('fnua', at)
  return hint.replace(/\bfnua (help\b|)([^,]*)/g, (_all, help: string, rest: string) => {
    const options = help === '' ? repeated(given, rest) : []
    return [program, ...options, `${help}${rest}`].join(' ')
  })
}

function repeated(given: GlobalFlags, rest: string): string[] {
  return GLOBALS.filter(o => KEPT.includes(o.key) && given[o.key] !== undefined).flatMap(o => {
    const flag = /--[a-z-]+/.exec(o.flags)?.[0] as string
    if (rest.includes(flag)) return []
    return o.flag ? [flag] : [flag, shellWord(String(given[o.key]))]
  })
}
