/** `@fnaa/core/plugin`: all that a plugin may import of the kernel. Types, string literals and a few functions. */

export { signalAfter } from '@fnaa/client'
export * from './contract/auth.js'
export * from './contract/broker.js'
export * from './contract/common.js'
export * from './contract/dns.js'
export * from './contract/errors.js'
export * from './contract/gateway.js'
export * from './contract/kinds.js'
export * from './contract/plugin.js'
export * from './contract/processor.js'
export * from './contract/store.js'
export { operatorsDial } from './operators-dial.js'
