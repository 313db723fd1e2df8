import { findVerb, fnapError, foldWord, VERBS } from '@fnaa/protocol'
import type { Handler, Words } from './command.js'

/** Usage lines, from the one table of verbs. */
export const help: Handler = {
  id: 'HELP',
  run: (_cx, command) => {
    const words = ((command.args as Words)['verb'] as readonly string[] | string | undefined) ?? []
    const asked = typeof words === 'string' ? words.split(' ') : [...words]
    if (asked.length === 0) return { lines: VERBS.flatMap(v => v.usage), wide: true }
    const exact = findVerb(asked)
    if (exact) return { lines: [...exact.verb.usage, exact.verb.summary], wide: true }
    const begun = VERBS.filter(
      v => v.id.split(' ').slice(0, asked.length).map(foldWord).join(' ') === asked.map(foldWord).join(' '),
    )
    if (begun.length === 0)
      throw fnapError('UNKNOWNCOMMAND', 'HELP takes the words of a command; HELP alone lists them')
    return { lines: begun.flatMap(v => v.usage), wide: true }
  },
}
