const WORKERS = 2
let busy = 0
const waiting: (() => void)[] = []

/**
 * Password hashing of the whole process goes through here, two at a time: libuv's four threads also commit the store, and
 * a crowd of log-ins would hold them all.
 */
export async function hashQueue<T>(work: () => Promise<T>): Promise<T> {
  if (busy >= WORKERS) await new Promise<void>(resolve => waiting.push(resolve))
  else busy++
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next) next()
    else busy--
  }
}
