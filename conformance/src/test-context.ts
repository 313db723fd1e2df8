import type { Ctx } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import { MemoryKeyValue } from './memory-kv.js'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const unused = async () => {
  throw new FnaError('FNA_ERR_UNSUPPORTED', 'not in this test')
}

export interface TestContext extends Ctx {
  readonly state: MemoryKeyValue
  /** Turns the clock, in milliseconds; timers do not fire. */
  turn(ms: number): void
  /** Aborts the signal. */
  end(): void
}

/**
 * A context without kernel, for tests of a plugin's parts: state in memory, a clock that stands still until it is turned, no
 * network. `harness` sets a whole plugin up.
 */
export function testContext(domains: readonly string[] = ['unix.test'], state = new MemoryKeyValue()): TestContext {
  const controller = new AbortController()
  let now = Date.UTC(2026, 10, 23)
  return {
    id: 'test',
    log: silent,
    signal: controller.signal,
    agent: { host: `fnaa.${domains[0]}`, domains, directory: '' },
    state,
    dial: unused,
    resolve: unused,
    clock: {
      now: () => now,
      timer: (_ms, signal) => new Promise(resolve => signal.addEventListener('abort', () => resolve())),
    },
    hash: work => work(),
    turn(ms) {
      now += ms
    },
    end: () => controller.abort(),
  }
}
