import type { FlowEvent } from './events.js'

const todo = (): never => {
  throw new Error('not yet')
}
export interface LineOptions {
  /** KEY of the command. */ readonly key?: string /** ms since 1970: the time stamp of events without a time. */
  readonly now: number
}
export interface EventOptions {
  readonly flow: string
  readonly cursor: string
  readonly shard?: string
}
export const lineToEvent = (_line: string, _opt: LineOptions): FlowEvent => todo()
export const eventToLine = (_event: FlowEvent, _opt: EventOptions): string => todo()
