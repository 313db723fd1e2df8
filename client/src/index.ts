/** `@fnaa/client`: find an agent by DNS, reach it safely, and speak FNAP/1 to it. */
export * from './addresses.js'
export { FnapConnection } from './connection.js'
export * from './connection-options.js'
export * from './dial.js'
export {
  type AnyRecord,
  type DnskeyRecord,
  decodeResponse,
  encodeQuestion,
  type Question,
  type QuestionType,
  type Response,
  type Signature,
  type SoaRecord,
} from './dns-message.js'
export type { DnsServer } from './dns-transport.js'
export { type DsData, dsOf, signingKeys, type ZoneKey } from './dnskey.js'
export { ed25519Key } from './ed25519.js'
export * from './errors.js'
export { type EndFrame, FrameStream, type FrameStreamOptions } from './frame-stream.js'
export * from './guard.js'
export { InTurn } from './in-turn.js'
export { LineSink } from './line-sink.js'
export { EVENT_LINE, LineStream } from './line-stream.js'
export { MASK, maskLine } from './mask.js'
export { Networks } from './networks.js'
export { expectSuccess, type Reply, ReplyError, type ReplyLimits } from './reply.js'
export * from './resolver.js'
export * from './sasl.js'
export * from './saslprep.js'
export * from './scram.js'
export * from './scram-messages.js'
export { ALPN, describeTls, type SecureOptions, secure } from './secure.js'
export { signalAfter } from './signal-after.js'
export * as survey from './survey/index.js'
export * from './typed.js'
export * from './types.js'
export * from './walk.js'
export { ZoneAsker } from './zone-asker.js'
