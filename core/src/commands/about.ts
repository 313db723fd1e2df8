import type { About } from '../contract/kinds.js'
import type { Words } from './command.js'

const KEYS = ['title', 'description', 'schema', 'contact', 'tags'] as const

/** The describing attributes: those given over those there were; `""` clears one. */
export function about(options: Words, before: About = {}): About {
  const given = (options['about'] ?? {}) as Readonly<Record<string, string | readonly string[] | undefined>>
  const next: Record<string, unknown> = { ...before }
  for (const key of KEYS) {
    const value = given[key]
    if (value === undefined) continue
    if (value.length === 0 || (value.length === 1 && value[0] === '')) delete next[key]
    else next[key] = value
  }
  return next as About
}

export const aboutPairs = (a: About | undefined) =>
  KEYS.map(key => [key, key === 'tags' ? a?.tags?.join(',') : a?.[key]] as const)
