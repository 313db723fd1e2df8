import type { Command } from 'commander'
import type { Context } from './context.js'
import { usage } from './errors.js'
import { document, isDocument } from './output.js'
import { help } from './program.js'
import { VERSION } from './version.js'

/** Runs a command of fnua that is no verb of the protocol. */
export async function runOwn(cx: Context, name: string, words: readonly string[], program: Command): Promise<void> {
  switch (name) {
    case 'login':
      return (await import('./run-login.js')).runLogin(cx)
    case 'api':
      return (await import('./run-api.js')).runApi(cx, words)
    case 'resolve':
      return (await import('./run-resolve.js')).runResolve(cx, words)
    case 'doctor':
      return (await import('./run-doctor.js')).runDoctor(cx, words)
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
