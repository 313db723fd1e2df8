import { onStep } from './steps.js'

/**
 * For kill tests. With `FNAAD_TEST_KILL=1` in the environment, a message `{ kill: '<step>:<n>' }` from the parent process
 * arms it: the process kills itself with SIGKILL when it passes the step for the n-th time from then on. Nothing is
 * flushed, nothing is said: as when the power goes.
 */
export function armKill(env: NodeJS.ProcessEnv): void {
  if (env['FNAAD_TEST_KILL'] !== '1' || !process.send) return
  process.on('message', (m: { kill?: string }) => {
    const [name, count] = (m.kill ?? '').split(':')
    let left = Number(count ?? 1)
    onStep(name ? step => step === name && --left === 0 && process.kill(process.pid, 'SIGKILL') : undefined)
    process.send?.({ armed: m.kill })
  })
  process.channel?.unref()
}
