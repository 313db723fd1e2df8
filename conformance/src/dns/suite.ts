import { type SuiteOptions, suite } from '../suite.js'
import { servingCases } from './serving.js'
import { extendDns } from './tools.js'
import { writingCases } from './writing.js'

/** What every DNS plugin must do: `dnsSuite({ test, factory })`. The plugin's server must be reachable from here. */
export function dnsSuite(opt: SuiteOptions<'dns'>): void {
  suite(opt, [...writingCases, ...servingCases], extendDns)
}
