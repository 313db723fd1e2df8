import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Guarded } from './guarded.js'
import { freePort } from './ports.js'

export interface UnboundOptions {
  /** Zones and the server of each, `host:port`: on loopback glue cannot name a port, so referrals are not followed. */
  readonly stubs: Readonly<Record<string, string>>
  /** What it trusts to begin with: a zone and its DS, as the parent would publish it. */
  readonly anchors: Readonly<Record<string, string>>
  readonly address?: string
  readonly port?: number
  /** Seconds that an absence is remembered at most; 1 if absent. */
  readonly negativeTtl?: number
  /** What its programs run behind, such as `Host.within` of a network namespace. */
  readonly within?: readonly string[]
  /** False: it does not say why it failed (RFC 8914). True if absent. */
  readonly explains?: boolean
  /** False: it only looks names up, and its answers prove nothing. True if absent. */
  readonly validates?: boolean
  readonly log?: (line: string) => void
}

const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`
const START_MS = 30_000

/** Why Unbound cannot run here; null where it can. In CI always null. */
export function unboundUnavailable(): string | null {
  if (process.env['CI'] || program('unbound')) return null
  return 'unbound not found: apt install unbound'
}

const program = (name: string): string | undefined =>
  PATH.split(':')
    .map(directory => join(directory, name))
    .find(existsSync)

/** A validating resolver; it ends with this process. */
export class Unbound {
  readonly host: string
  readonly port: number
  readonly directory: string
  readonly #process: Guarded
  readonly #within: readonly string[]

  private constructor(
    at: { host: string; port: number },
    directory: string,
    process: Guarded,
    within: readonly string[],
  ) {
    this.#within = within
    this.host = at.host
    this.port = at.port
    this.directory = directory
    this.#process = process
  }

  static async start(opt: UnboundOptions): Promise<Unbound> {
    const directory = await mkdtemp(join(tmpdir(), 'fnaad-unbound-'))
    const at = { host: opt.address ?? '127.0.0.1', port: opt.port ?? (await freePort()) }
    await writeFile(join(directory, 'unbound.conf'), config(opt, at, directory))
    const anchors = Object.entries(opt.anchors).map(([zone, ds]) => {
      const [tag, algorithm, type, digest = ''] = ds.split(/\s+/)
      return `"${zone}." static-ds ${tag} ${algorithm} ${type} "${digest}";`
    })
    await writeFile(join(directory, 'anchors'), `trust-anchors { ${anchors.join(' ')} };\n`)
    const within = opt.within ?? []
    const command = [...within, program('unbound') ?? 'unbound', '-d', '-c', join(directory, 'unbound.conf')]
    const process = await Guarded.start(command, { folder: directory, ...(opt.log && { log: opt.log }) })
    await process.said('start of service', START_MS)
    return new Unbound(at, directory, process, within)
  }

  /** What dig says, asked of this resolver. */
  dig(...args: string[]): string {
    const at = [`@${this.host}`, '-p', String(this.port), '+tries=1', '+time=5']
    const [first = '', ...rest] = [...this.#within, 'dig', ...at, ...args]
    return spawnSync(first, rest, { encoding: 'utf8' }).stdout
  }

  /** What delv says, which validates by itself, from this resolver's anchor for `top` on. */
  delv(top: string, ...args: string[]): string {
    const from = ['-a', join(this.directory, 'anchors'), `+root=${top}`, `@${this.host}`, '-p', String(this.port)]
    const [first = '', ...rest] = [...this.#within, 'delv', ...from, ...args]
    const ran = spawnSync(first, rest, { encoding: 'utf8' })
    return ran.stdout + ran.stderr
  }

  /** Forgets a zone: what was bogus is remembered for a minute else. */
  flush(zone: string): void {
    this.#control('flush_infra', 'all')
    this.#control('flush_zone', zone)
  }

  /** One more zone whose server (`host:port`) no glue could name. */
  stub(zone: string, server: string): void {
    this.#control('stub_add', `${zone}.`, server.replace(/:(\d+)$/, '@$1'))
  }

  #control(...words: string[]): void {
    const conf = join(this.directory, 'unbound.conf')
    const ran = spawnSync(program('unbound-control') ?? 'unbound-control', ['-c', conf, ...words], { encoding: 'utf8' })
    if (ran.status !== 0)
      throw new Error(`unbound-control ${words[0]}: ${ran.error?.message ?? ran.stdout}${ran.stderr}`)
  }

  async stop(): Promise<void> {
    this.#process.signal('SIGTERM')
    await this.#process.ended
    await rm(this.directory, { recursive: true, force: true })
  }
}

function config(opt: UnboundOptions, at: { host: string; port: number }, directory: string): string {
  const stubs = Object.entries(opt.stubs).map(
    ([zone, server]) => `stub-zone:\n  name: "${zone}."\n  stub-addr: ${server.replace(/:(\d+)$/, '@$1')}`,
  )
  return `server:
  directory: "${directory}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  verbosity: 1
  interface: ${at.host}@${at.port}
  access-control: 0.0.0.0/0 allow
  do-ip6: no
  do-not-query-localhost: no
  module-config: "${opt.validates === false ? '' : 'validator '}iterator"
${Object.entries(opt.anchors)
  .map(([zone, ds]) => `  trust-anchor: "${zone}. DS ${ds}"`)
  .join('\n')}
  local-zone: "." refuse
${Object.keys(opt.stubs)
  .map(zone => `  local-zone: "${zone}." transparent`)
  .join('\n')}
  cache-max-negative-ttl: ${opt.negativeTtl ?? 1}
  val-bogus-ttl: 1
  ede: ${opt.explains === false ? 'no' : 'yes'}
remote-control:
  control-enable: yes
  control-interface: "${directory}/control"
  control-use-cert: no
${stubs.join('\n')}
`
}
