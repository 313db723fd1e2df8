import { CONTRACT, definePlugin } from '@fnaa/core/plugin'
import { ProcessRuntime } from './runtime.js'

export interface RuntimeProcessOptions {
  /** Host processes that runs are spread over, 1 to 64; default 1. */
  readonly hosts?: number
  /** The program to start instead of `fnaad-processor-host`: a module path for node. */
  readonly program?: string
}

/** Runs processors in shared host processes on this machine, over gRPC on a unix socket of mode 0600. */
export const runtimeProcess = definePlugin<'runtime', RuntimeProcessOptions>({
  manifest: {
    name: '@fnaa/runtime-process',
    version: '0.1.0',
    kind: 'runtime',
    contract: CONTRACT,
    options: {
      type: 'object',
      additionalProperties: false,
      properties: { hosts: { type: 'integer', minimum: 1, maximum: 64 }, program: { type: 'string' } },
    },
    supports: { isolation: 'process' },
  },
  setup: async (ctx, options) => ProcessRuntime.start(ctx, options),
})
export default runtimeProcess
