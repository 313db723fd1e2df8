/** `@fnaa/core`: what a config file and who embeds an agent need. Plugins import `@fnaa/core/plugin`. */
export { Agent, type AgentOptions } from './agent.js'
export * from './config/define.js'
export { type LoadedConfig, loadConfig } from './config/load.js'
export { ConfigError, validate } from './config/validate.js'
export { loadDriver } from './data/drivers.js'
export { createLogger } from './log.js'
export * from './plugin.js'
