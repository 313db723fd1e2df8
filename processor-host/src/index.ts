/** `@fnaa/processor-host`: the program that runs processors, and the messages in which a runtime speaks to it. */
export { Engine } from './engine.js'
export type { RunSpec } from './run-spec.js'
export { ProcessorServer } from './server.js'
export {
  type CreateMessage,
  fromMessage,
  fromStatusMessage,
  loadService,
  type StatusMessage,
  toMessage,
} from './wire.js'
