import type { Clock } from '../contract/common.js'

/** The clock of the machine. Timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  timer: (ms, signal) =>
    new Promise(resolve => {
      if (signal.aborted) return resolve()
      // setTimeout turns a delay over 2^31 ms into 1 ms: a long one is cut, and its owner looks at the clock again.
      const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1))
      timer.unref()
      signal.addEventListener('abort', done, { once: true })
      function done() {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
    }),
}

/** RFC 3339 of a time in milliseconds. */
export const iso = (ms: number): string => new Date(ms).toISOString()
