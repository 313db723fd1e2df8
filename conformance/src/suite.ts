import assert from 'node:assert/strict'
import type { Driver, Kind, Plugin, Supports } from '@fnaa/core/plugin'
import type { TestClock } from './clock.js'
import { type Harness, harness } from './harness.js'

/** What a suite needs of a test runner: `test` of node:test and of tap both fit. */
export type Test = (name: string, fn: (t: { skip(...reason: never[]): unknown }) => Promise<void>) => unknown

export interface SuiteOptions<K extends Kind> {
  readonly test: Test
  /** Gives a fresh plugin each time, isolated from all others (its own directory, its own prefix of names). */
  readonly factory: () => Plugin<K> | Promise<Plugin<K>>
  /** Milliseconds that one case may take; 10,000 unless told. */
  readonly limit?: number
  /** Puts something around the driver before the cases use it. */
  readonly driver?: (loaded: Driver) => Driver
}

export interface Case<K extends Kind, X extends Harness<K> = Harness<K>> {
  readonly name: string
  /** The case is skipped where this is false of what the plugin supports. There is no other way to skip one. */
  readonly needs?: (supports: Supports[K]) => boolean
  run(x: X): Promise<void>
}

const LIMIT = 10_000

/** Runs every case on a plugin of its own. */
export function suite<K extends Kind, X extends Harness<K>>(
  opt: SuiteOptions<K>,
  cases: readonly Case<K, X>[],
  extend: (h: Harness<K>) => X,
): void {
  // Called without an object before it: tap's `test` minds.
  const { test } = opt
  for (const { name, needs, run } of cases) {
    test(name, async t => {
      const plugin = await opt.factory()
      const before = JSON.stringify(plugin.manifest)
      const h = await harness(plugin, opt.driver && { driver: opt.driver })
      try {
        if (needs && !needs(supportsNow(h))) {
          ;(t.skip as (reason: string) => unknown).call(t, 'not declared in supports')
          return
        }
        await within(opt.limit ?? LIMIT, name, run(extend(h)))
        assert.equal(JSON.stringify(plugin.manifest), before, 'the manifest changed while the plugin ran')
      } finally {
        await within(opt.limit ?? LIMIT, `closing after: ${name}`, h.close())
      }
    })
  }
}

/** A broker's instance may let in fewer than its manifest says. */
function supportsNow<K extends Kind>({ manifest, service }: Harness<K>): Supports[K] {
  const { access } = service as { access?(): unknown }
  return access ? { ...manifest.supports, access: access.call(service) } : manifest.supports
}

/** Rejects when `work` has not ended in time. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${ms} ms: ${what}`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Resolves once `done` says so, asking again at every turn of the event loop, and moving the clock by `step` milliseconds
 * each time where there is one: for work in the background that nobody can await. The case's limit ends it otherwise.
 */
export async function until(done: () => Promise<boolean> | boolean, clock?: TestClock, step = 60_000): Promise<void> {
  while (!(await done())) {
    await clock?.advance(step)
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Asserts that `work` fails with this code, which is all of an error that callers may rely on. */
export async function fails(code: string, work: Promise<unknown> | (() => unknown)): Promise<void> {
  const promise = typeof work === 'function' ? Promise.resolve().then(work) : work
  await assert.rejects(promise, (e: unknown) => {
    assert.equal((e as { code?: unknown }).code, code, `expected ${code}, got ${String(e)}`)
    return true
  })
}
