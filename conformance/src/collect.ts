import type { Test } from './suite.js'

export interface Outcome {
  readonly passed: readonly string[]
  readonly skipped: readonly string[]
  readonly failed: readonly { readonly name: string; readonly error: unknown }[]
}

/**
 * A `test` that only collects, for running a suite without a test runner: to prove that it catches a broken plugin, or to
 * report on a stranger's.
 */
export function collector(): { readonly test: Test; run(opt?: { stopAtFirst?: boolean }): Promise<Outcome> } {
  const cases: { name: string; fn: Parameters<Test>[1] }[] = []
  return {
    test: (name, fn) => cases.push({ name, fn }),
    async run({ stopAtFirst = false } = {}) {
      const passed: string[] = []
      const skipped: string[] = []
      const failed: { name: string; error: unknown }[] = []
      for (const { name, fn } of cases) {
        let skip = false
        try {
          await fn({ skip: () => (skip = true) })
          if (skip) skipped.push(name)
          else passed.push(name)
        } catch (error) {
          failed.push({ name, error })
          if (stopAtFirst) break
        }
      }
      return { passed, skipped, failed }
    },
  }
}

/**
 * Runs a suite on every mutant, a few at once (most of their time is waiting), each until the first case that fails.
 * @param suiteOn gives the suite this mutant and this `test`
 */
export function hunt<M>(
  mutants: readonly M[],
  suiteOn: (mutant: M, test: Test) => void,
  parallel = 6,
): Map<M, Promise<Outcome>> {
  const free: Promise<unknown>[] = Array.from({ length: parallel }, () => Promise.resolve())
  return new Map(
    mutants.map((mutant, i) => {
      const { test, run } = collector()
      suiteOn(mutant, test)
      const outcome = free[i % parallel]!.then(() => run({ stopAtFirst: true }))
      free[i % parallel] = outcome
      return [mutant, outcome]
    }),
  )
}
