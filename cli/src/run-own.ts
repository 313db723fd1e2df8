import type { Command } from 'commander'
import type { Context } from './context.js'
import { usage } from './errors.js'
import { document, isDocument } from './output.js'
import { TOPICS } from './topics.js'
import { VERSION } from './version.js'

/** Runs a command of fnua that is no verb of the protocol. */
export async function runOwn(cx: Context, name: string, words: readonly string[], program: Command): Promise<void> {
  switch (name) {
    case 'login':
      return (await import('./run-login.js')).runLogin(cx)
    case 'api':
      return (await import('./run-api.js')).runApi(cx, words)
    case 'completion':
      return cx.out.write((await import('./completion.js')).completionScript(words[0] ?? ''))
    case '__complete': {
      const { complete } = await import('./completion.js')
      const found = complete(
        program,
        words,
        cx.config.agents.map(a => a.name),
      )
      return cx.out.write(found.map(word => `${word}\n`).join(''))
    }
    case 'version': {
      const { output } = cx.settings
      return cx.out.write(isDocument(output) ? await document({ version: VERSION }, output) : `${VERSION}\n`)
    }
    case 'help':
      return cx.out.write(help(program, words))
    default:
      throw usage(`fnua ${name} needs a command to watch, as get flows`)
  }
}

/** Help for a command by its words, for a topic, or for fnua. @throws CliError of usage */
export function help(program: Command, words: readonly string[]): string {
  const topic = words.length === 1 ? TOPICS.get(words[0] as string) : undefined
  if (topic) return topic.text()
  let command = program
  for (const word of words) {
    const next = command.commands.find(c => c.name() === word || c.aliases().includes(word))
    if (!next) break
    command = next
  }
  if (command === program && words.length > 0) throw usage(`there is no help for ${words.join(' ')}`)
  const text = command.helpInformation()
  if (command !== program) return text
  const topics = [...TOPICS].map(([name, { summary }]) => `  ${name.padEnd(14)}${summary}`)
  return `${text}\nTopics of fnua help:\n${topics.join('\n')}\n`
}
