import type { Command } from 'commander'
import { usage } from './errors.js'

/** Shells for which there is a script; each asks `fnua __complete` for the words that fit. */
const SCRIPTS: ReadonlyMap<string, string> = new Map([
  [
    'bash',
    `_fnua() {
  local IFS=$'\\n'
  COMPREPLY=( $(compgen -W "$(fnua __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}") )
}
complete -o default -F _fnua fnua
`,
  ],
  [
    'zsh',
    `#compdef fnua
_fnua() {
  local -a found
  found=(\${(f)"$(fnua __complete -- "\${words[@]:1:$((CURRENT-1))}" 2>/dev/null)"})
  compadd -a found
}
compdef _fnua fnua
`,
  ],
  [
    'fish',
    `function __fnua_complete
  set -l words (commandline -opc) (commandline -ct)
  fnua __complete -- $words[2..-1] 2>/dev/null
end
complete -c fnua -f -a '(__fnua_complete)'
`,
  ],
])

/** The script that a shell sources. @throws CliError of usage */
export function completionScript(shell: string): string {
  const script = SCRIPTS.get(shell)
  if (!script) throw usage(`completion is for ${[...SCRIPTS.keys()].join(', ')}`)
  return script
}

/**
 * The words that may stand where the cursor is: commands of the tree, options of the command, or values of an option.
 * @param words all words behind `fnua`; the last one is being typed
 */
export function complete(program: Command, words: readonly string[], agents: readonly string[]): string[] {
  const typed = words[words.length - 1] ?? ''
  let command = program
  for (const word of words.slice(0, -1)) {
    const next = command.commands.find(c => c.name() === word || c.aliases().includes(word))
    if (next) command = next
  }
  const before = words[words.length - 2] ?? ''
  const options = [...command.options, ...program.options].filter(o => !o.hidden)
  const option = options.find(o => before !== '' && (o.long === before || o.short === before))
  if (option?.long === '--agent') return starting(typed, agents)
  if (option?.argChoices) return starting(typed, option.argChoices)
  if (option && (option.required || option.optional)) return []
  if (typed.startsWith('-'))
    return starting(
      typed,
      options.map(o => o.long ?? ''),
    )
  return starting(
    typed,
    command.commands.filter(c => !isHidden(c)).map(c => c.name()),
  )
}

const starting = (typed: string, words: readonly string[]): string[] =>
  [...new Set(words)].filter(word => word !== '' && word.startsWith(typed)).sort()

const isHidden = (command: Command): boolean => (command as unknown as { _hidden?: boolean })._hidden === true
