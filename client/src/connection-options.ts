import type { ReplyLimits } from './reply.js'
import type { SecureOptions } from './secure.js'

/** One line of the dialogue, secrets masked already. `bytes` counts what was on the wire, CRLF included. */
export interface TraceLine {
  readonly direction: 'send' | 'receive'
  readonly line: string
  readonly bytes: number
}
export interface ConnectOptions {
  /** TLS from the first byte, before the greeting. */
  readonly tls?: SecureOptions
  /** `agent` (if absent): the greeting must be `220 <host> FNAA`. `any` is for a user's eyes. */
  readonly greeting?: 'agent' | 'any'
  /** Milliseconds for the greeting; 10,000 if absent. */
  readonly greetingMs?: number
  /** Milliseconds for a reply; 45,000 if absent, as an agent itself answers 504 after 30 s. */
  readonly replyMs?: number
  readonly trace?: (line: TraceLine) => void
}
export interface CommandOptions extends ReplyLimits {
  /** Milliseconds for the whole reply. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}
