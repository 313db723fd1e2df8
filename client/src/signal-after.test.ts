import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { signalAfter } from './signal-after.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** As a wait does: nobody holds the signal but its listener. */
const aborted = (signal: AbortSignal) =>
  new Promise<unknown>(resolve => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }))

t.test('it aborts after its time, whatever was collected meanwhile', async t => {
  const other = new AbortController()
  const waits = [aborted(signalAfter(100)), aborted(signalAfter(100, other.signal))]
  for (let i = 0; i < 3; i++) {
    await sleep(10)
    collect()
  }
  const end = new AbortController()
  const alarm = sleep(5000, 'never', { signal: end.signal }).catch(() => undefined)
  for (const wait of waits) t.match(await Promise.race([wait, alarm]), { name: 'TimeoutError' })
  end.abort()
})

t.test('and as soon as another one does', async t => {
  const other = new AbortController()
  const wait = aborted(signalAfter(60_000, other.signal))
  other.abort(new Error('off'))
  t.match(await wait, { message: 'off' })
  t.ok(signalAfter(60_000, other.signal).aborted, 'also when it has already')
})
