import { createRequire } from 'node:module'
import { CONTRACT, definePlugin } from '@fnaa/core/plugin'
import { type DnsBindOptions, OPTIONS_SCHEMA } from './options.js'
import { BindDns } from './service.js'

export type { DnsBindOptions } from './options.js'

const { name, version } = createRequire(import.meta.url)('@fnaa/dns-bind/package.json') as {
  name: string
  version: string
}

/**
 * Names in the zones of a BIND 9 server (or another one that takes signed updates): RFC 2136 with TSIG. It never writes what is
 * the operator's: `_fnapkey` and the like, wildcards, names that somebody else has made, and without the zone's key `_fnap`. What
 * it advertises follows the options, so the manifest is made for these.
 */
export const dnsBind = (options: DnsBindOptions, instance?: { id?: string }) =>
  definePlugin<'dns', DnsBindOptions>({
    manifest: {
      name,
      version,
      kind: 'dns',
      contract: CONTRACT,
      supports: { keys: false, delegates: options?.zoneKeyFile !== undefined },
      options: OPTIONS_SCHEMA,
    },
    setup: async (ctx, o) => new BindDns(ctx, o),
  })(options, instance)

/** The factory that a config file calls. */
export default dnsBind
