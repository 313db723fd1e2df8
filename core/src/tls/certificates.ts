import { readFile } from 'node:fs/promises'
import { rootCertificates } from 'node:tls'
import type { Config } from '../config/define.js'
import { FnaError } from '../contract/errors.js'

/** PEM texts of the agent's own certificate. */
export interface Pair {
  readonly cert: string
  readonly key: string
  /** The CA that others need to verify it, where no public one signed it. */
  readonly ca?: string
}
export interface Certificates extends Pair {
  onRenew(renewed: (next: Pair) => void): void
  /** Reads the files again (SIGHUP). */
  reload(): Promise<void>
}

/**
 * The certificate of the config: from files, or made by a development CA on first use. Null where the config has none.
 * @throws FNA_ERR_CONFIG where a file cannot be read
 */
export async function loadCertificates(config: Config): Promise<Certificates | null> {
  const { tls } = config
  if (!tls) return null
  const load = async (): Promise<Pair> => {
    if ('development' in tls) {
      const { developmentCertificates } = await import('./development.js')
      const names = [...new Set([config.host, ...config.domains])]
      return developmentCertificates({ directory: tls.development, names, addresses: ['127.0.0.1', '::1'] })
    }
    const ca = tls.ca === undefined ? {} : { ca: await read('tls.ca', tls.ca) }
    return { cert: await read('tls.cert', tls.cert), key: await read('tls.key', tls.key), ...ca }
  }
  let pair = await load()
  const listeners: ((next: Pair) => void)[] = []
  return {
    get cert() {
      return pair.cert
    },
    get key() {
      return pair.key
    },
    get ca() {
      return pair.ca
    },
    onRenew: renewed => listeners.push(renewed),
    async reload() {
      pair = await load()
      for (const renewed of listeners) renewed(pair)
    },
  } as Certificates
}

/** Who may vouch for a domain at level pkix, where the config adds to the system's CAs; null where it does not. */
export async function loadRoots({ trust }: Config): Promise<string | null> {
  if (trust?.ca === undefined) return null
  return [...rootCertificates, await read('trust.ca', trust.ca)].join('\n')
}

async function read(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (e) {
    throw new FnaError('FNA_ERR_CONFIG', `${option} ${path} cannot be read: ${(e as Error).message}`, { cause: e })
  }
}
