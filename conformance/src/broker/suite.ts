import { type SuiteOptions, suite } from '../suite.js'
import { eventCases } from './events.js'
import { positionCases } from './positions.js'
import { queueCases } from './queues.js'
import { extendBroker } from './tools.js'

/** What every broker must do, service and driver: `brokerSuite({ test, factory })`. */
export function brokerSuite(opt: SuiteOptions<'broker'>): void {
  suite(opt, [...queueCases, ...eventCases, ...positionCases], extendBroker)
}

/** The control face alone: what needs nothing of the driver but to write and read a few events. */
export function brokerServiceSuite(opt: SuiteOptions<'broker'>): void {
  suite(opt, queueCases, extendBroker)
}

/** The data face alone. */
export function brokerDriverSuite(opt: SuiteOptions<'broker'>): void {
  suite(opt, [...eventCases, ...positionCases], extendBroker)
}
