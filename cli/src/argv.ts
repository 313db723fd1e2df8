import { GLOBALS } from './settings.js'

/** Options of fnua itself that take the next word, in all their spellings. */
const WITH_VALUE: ReadonlySet<string> = new Set(
  GLOBALS.filter(o => !o.flag).flatMap(o => o.flags.replace(/ <.*$/, '').split(', ')),
)

/**
 * The words of the command line as the parser wants them: the thesis's `-nameserver` with two dashes, and
 * `watch get …` as `get … --watch`.
 */
export function normalise(argv: readonly string[]): string[] {
  const words = argv.map(word => (/^-nameserver(=|$)/.test(word) ? `-${word}` : word))
  const at = firstOperand(words)
  if (at < 0 || words[at] !== 'watch' || firstOperand(words.slice(at + 1)) < 0) return words
  return [...words.slice(0, at), ...words.slice(at + 1), '--watch']
}

/** Where the first word stands that is neither an option of fnua nor its value. */
function firstOperand(words: readonly string[]): number {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (!word.startsWith('-') || word === '-') return at
    if (WITH_VALUE.has(word)) at++
  }
  return -1
}
