import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

interface Terminal {
  readonly stdin: NodeJS.ReadStream
  readonly stderr: NodeJS.WriteStream
}

/** Asks on the terminal, without echo for a secret. @returns undefined where there is no terminal to ask on */
export function ask(
  p: Terminal,
  question: string,
  opt: { readonly secret?: boolean; readonly signal: AbortSignal },
): Promise<string | undefined> {
  if (!p.stdin.isTTY || !p.stderr.isTTY) return Promise.resolve(undefined)
  p.stderr.write(question)
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: p.stdin, output: opt.secret ? mute : p.stderr, terminal: true })
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      lines.close()
      reject(opt.signal.reason)
    }
    opt.signal.addEventListener('abort', onAbort, { once: true })
    // In raw mode Ctrl-C is a key: it means the signal.
    lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
    lines.once('line', answer => {
      opt.signal.removeEventListener('abort', onAbort)
      lines.close()
      if (opt.secret) p.stderr.write('\n')
      resolve(answer)
    })
  })
}
