import { createRequire } from 'node:module'
import { CONTRACT, definePlugin } from '@fnaa/core/plugin'
import { type DnsEmbeddedOptions, OPTIONS_SCHEMA } from './options.js'
import { EmbeddedDns } from './service.js'

export type { DnsEmbeddedOptions } from './options.js'

const { name, version } = createRequire(import.meta.url)('@fnaa/dns-embedded/package.json') as {
  name: string
  version: string
}

/**
 * An authoritative name server inside the agent: for a laptop, and for those who delegate a zone to it. What it
 * advertises (`supports.keys`) follows the options, so the manifest is made for these.
 */
export const dnsEmbedded = (options: DnsEmbeddedOptions = {}, instance?: { id?: string }) =>
  definePlugin<'dns', DnsEmbeddedOptions>({
    manifest: {
      name,
      version,
      kind: 'dns',
      contract: CONTRACT,
      supports: { keys: options.keys ?? true, delegates: true },
      options: OPTIONS_SCHEMA,
    },
    setup: (ctx, o) => EmbeddedDns.open(ctx, o),
  })(options, instance)

/** The factory that a config file calls. */
export default dnsEmbedded
