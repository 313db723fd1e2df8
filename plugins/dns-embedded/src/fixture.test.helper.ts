import type { Ctx, Entry, KeyValue } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'

/** A bucket in memory. `before` runs ahead of each write and may throw, or wait. */
export class MemoryState implements KeyValue {
  readonly entries = new Map<string, Entry>()
  writes = 0
  before: (op: 'put' | 'delete', key: string) => void | Promise<void> = () => {}
  #revision = 0

  async get(key: string): Promise<Entry | null> {
    return this.entries.get(key) ?? null
  }

  async put(key: string, value: Uint8Array, opt: { ifRevision?: string | null }): Promise<string> {
    await this.before('put', key)
    const found = this.entries.get(key)
    if (opt.ifRevision !== undefined && (found?.revision ?? null) !== opt.ifRevision) {
      throw new FnaError('FNA_ERR_CONFLICT', 'another revision stands')
    }
    this.writes++
    const revision = String(++this.#revision)
    this.entries.set(key, { value: Uint8Array.from(value), revision })
    return revision
  }

  async delete(key: string): Promise<void> {
    await this.before('delete', key)
    this.writes++
    this.entries.delete(key)
  }

  async list(prefix: string, opt: { after?: string; limit: number }) {
    return [...this.entries]
      .filter(([key]) => key.startsWith(prefix) && (opt.after === undefined || key > opt.after))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, opt.limit)
  }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const unused = async () => {
  throw new FnaError('FNA_ERR_UNSUPPORTED', 'not in this test')
}

export interface TestContext extends Ctx {
  readonly state: MemoryState
  /** Turns the clock, in milliseconds. */
  turn(ms: number): void
  end(): void
}

/** A context without kernel: state in memory, a clock that stands still until it is turned. */
export function testContext(domains: readonly string[] = ['unix.test'], state = new MemoryState()): TestContext {
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
