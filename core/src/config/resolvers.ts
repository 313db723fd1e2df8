import type { Config } from './define.js'

/** The DNS servers that an agent asks. */
export function serversOf(config: Config): { readonly host: string; readonly port: number }[] {
  return (config.resolver?.servers ?? ['127.0.0.1:53']).map(s => {
    const colon = s.lastIndexOf(':')
    return { host: s.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(s.slice(colon + 1)) }
  })
}
