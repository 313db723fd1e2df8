import type { AuthService, Ctx } from '@fnaa/core/plugin'
import { type SuiteOptions, suite } from '../suite.js'
import { domainkeyCases, pairOf } from './domainkey.js'
import { generalCases } from './general.js'
import { passwordCases } from './passwords.js'
import { extendAuth } from './tools.js'

/**
 * What every auth plugin must do: `authSuite({ test, factory })`. Of a mechanism that the suite does not know it checks
 * what holds for all of them; a plugin of one's own adds tests of its own.
 */
export function authSuite(opt: SuiteOptions<'auth'>): void {
  const setup = async (ctx: Ctx): Promise<AuthService> => (await opt.factory()).setup(ctx)
  suite(opt, [...generalCases, ...passwordCases, ...domainkeyCases(pairOf(setup))], extendAuth)
}
