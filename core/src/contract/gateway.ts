import type { Batch } from '@fnaa/protocol'
import type { Identity } from './auth.js'
import type { Call, Json, Service } from './common.js'

/** What a command answers, piece by piece; a final reply always ends it. */
export type Reply =
  | { readonly code: number; readonly symbol?: string; readonly text: string }
  | { readonly item: Json; readonly line?: string }
  | { readonly batch: Batch }

/** The kernel as a gateway sees it: the same registry as FNAP, so there is no second way past the grants. */
export interface Application {
  run(who: Identity, line: string, body: AsyncIterable<Uint8Array> | null, c: Call): AsyncIterable<Reply>
}
export interface GatewaySupports {
  readonly protocols: readonly string[]
}
export interface GatewayService extends Service {
  start(app: Application, c: Call): Promise<void>
  drain(c: Call): Promise<void>
}
