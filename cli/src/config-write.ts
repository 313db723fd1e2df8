import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { CliError, EXIT } from './errors.js'

/** What a login stores of an agent. */
export interface StoredAgent {
  readonly name: string
  readonly fqdn: string
  readonly address?: string
  readonly nameserver?: string
  /** Absolute path. */
  readonly ca?: string
  readonly tls?: 'required' | 'implicit'
  readonly username: string
  readonly password: string
}

/**
 * Puts an agent into a config, or what is new of it into the entry that is there. Comments and all else stay. The
 * file is for its owner alone (0600), and is replaced whole, so that a crash leaves the old one.
 */
export async function storeAgent(file: string, agent: StoredAgent): Promise<void> {
  const { parseDocument, isSeq, isMap } = await import('yaml')
  const document = parseDocument(existing(file))
  if (document.errors.length > 0) throw new CliError(`config ${file} cannot be read, so nothing is stored`, EXIT.failed)
  if (!isMap(document.contents)) document.contents = document.createNode({}) as never
  if (!isSeq(document.get('agents'))) document.set('agents', document.createNode([]))
  const agents = document.get('agents') as {
    items: { get(key: string): unknown; set(key: string, value: unknown): void }[]
  }
  const same = (item: { get(key: string): unknown }) =>
    item.get('name') === agent.name ||
    // Several agents may live at one IP address, each at a port of its own.
    (item.get('fqdn') === agent.fqdn &&
      (item.get('address') ?? agent.address) === (agent.address ?? item.get('address')))
  const entry = agents.items.find(same)
  if (entry) {
    for (const [key, value] of Object.entries(agent)) if (key !== 'name' && key !== 'fqdn') entry.set(key, value)
  } else agents.items.push(document.createNode(agent) as never)
  replace(file, document.toString())
}

function existing(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new CliError(`config ${file}: ${(e as Error).message}`, EXIT.failed)
  }
}

function replace(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const next = `${file}.${process.pid}.new`
  writeFileSync(next, text, { mode: 0o600, flag: 'wx' })
  chmodSync(next, 0o600)
  renameSync(next, file)
}
