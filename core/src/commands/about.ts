import type { About } from '../contract/kinds.js'
import type { Words } from './command.js'

const KEYS = ['title', 'description', 'schema', 'contact', 'tags'] as const

/** The describing attributes: those given over those there were; `""` clears one. */
export function about(options: Words, before: About = {}): About {
  const next: Record<string, unknown> = { ...before }
  for (const key of KEYS) {
    const given = options[key] as string | readonly string[] | undefined
    if (given === undefined) continue
    if (given.length === 0 || (Array.isArray(given) && given.length === 1 && given[0] === '')) delete next[key]
    else next[key] = given
  }
  return next as About
}

export const aboutPairs = (a: About | undefined) =>
  KEYS.map(key => [key, key === 'tags' ? a?.tags?.join(',') : a?.[key]] as const)
