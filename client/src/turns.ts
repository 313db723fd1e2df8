import type { CommandOptions } from './connection-options.js'
import { abandon } from './reply.js'
import type { Transport } from './transport.js'

/** One at a time, in the order in which they came. */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  /** Waits for its turn. Calling what it returns ends the turn; calling it again does nothing. */
  async take(): Promise<() => void> {
    const before = this.#last
    let end: () => void = () => {}
    this.#last = new Promise(resolve => {
      end = resolve
    })
    await before
    return end
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const end = await this.take()
    try {
      return await work()
    } finally {
      end()
    }
  }
}

/**
 * Runs `work` with a deadline in milliseconds. When that or the signal ends it, the connection is closed (where the next
 * reply would begin is unknown), which makes `work` throw.
 */
export async function timed<T>(
  transport: Transport,
  opt: Pick<CommandOptions, 'signal'> & { readonly timeoutMs: number },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const cut = (why: string) => {
    abandon(transport, 'FNA_ERR_TIMEOUT', why)
    controller.abort()
  }
  const timer = setTimeout(() => cut('the agent did not answer in time'), opt.timeoutMs)
  const onAbort = () => cut('the call was aborted')
  opt.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    if (opt.signal?.aborted) onAbort()
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    opt.signal?.removeEventListener('abort', onAbort)
  }
}
