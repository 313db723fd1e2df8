import { onStep } from './steps.js'

/**
 * For kill tests: with `FNAAD_TEST_KILL_AT=<step>[:n]` the process kills itself with SIGKILL when it passes the step for
 * the n-th time. Nothing is flushed, nothing is said: as when the power goes.
 */
export function armKill(env: NodeJS.ProcessEnv): void {
  const at = env['FNAAD_TEST_KILL_AT']
  if (!at) return
  const [name, count] = at.split(':')
  let left = Number(count ?? 1)
  onStep(step => {
    if (step === name && --left === 0) process.kill(process.pid, 'SIGKILL')
  })
}
