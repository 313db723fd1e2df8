import { type SuiteOptions, suite } from '../suite.js'
import { durableCases } from './durable.js'
import { listCases } from './lists.js'
import { resourceCases } from './resources.js'
import { extendStore } from './tools.js'

/** What every store must do: `storeSuite({ test, factory })`. */
export function storeSuite(opt: SuiteOptions<'store'>): void {
  suite(opt, [...resourceCases, ...listCases, ...durableCases], extendStore)
}
