import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Guarded } from './guarded.js'
import { freePort } from './ports.js'

export interface BindZone {
  readonly name: string
  /** Lines of the zone's file beside SOA, NS and the name server's own address. */
  readonly records?: readonly string[]
  /** Signed by its server (ECDSA P-256); true if absent. */
  readonly signed?: boolean
  /** Signed once, by dnssec-signzone, instead of by its server: with signatures that hold for a month, or that have ended. It takes no updates. */
  readonly byHand?: 'valid' | 'expired'
  /** Types that the agent's key may write at any name but the apex and those of `_fnap`. */
  readonly agentTypes?: string
  /** Lines of `update-policy` before all others. */
  readonly policy?: readonly string[]
}
export interface BindOptions {
  readonly zones: readonly BindZone[]
  /** An address of this host. On loopback 127.0.0.1 alone: BIND listens on addresses of interfaces only. */
  readonly address?: string
  /** A free one if absent. */
  readonly port?: number
  /** Of the TSIG keys; hmac-sha256 if absent. */
  readonly algorithm?: 'hmac-sha256' | 'hmac-sha384' | 'hmac-sha512'
  /** A zone of another server that this one is a secondary of. */
  readonly secondaryOf?: { readonly zone: string; readonly primary: Bind }
  /** What its programs run behind, such as `Host.within` of a network namespace. */
  readonly within?: readonly string[]
  readonly log?: (line: string) => void
}
/** Who may write what: the agent names of flows, the zone's key also what leads to agents and zones below, the administrator everything. */
export type BindKey = 'agent' | 'zone' | 'admin'

const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`
const START_MS = 30_000

/** Why BIND cannot run here; null where it can. In CI always null: a test whose service is missing fails there. */
export function bindUnavailable(): string | null {
  if (process.env['CI']) return null
  const missing = ['named', 'tsig-keygen', 'dig', 'nsupdate'].filter(p => program(p) === null)
  if (missing.length === 0) return null
  return `${missing.join(', ')} of BIND 9 not found: apt install bind9 bind9-utils bind9-dnsutils`
}

function program(name: string): string | null {
  return PATH.split(':').find(directory => existsSync(join(directory, name))) ?? null
}

/** A name server (BIND 9) with signed zones that take updates, on this host; it ends with this process. */
export class Bind {
  readonly host: string
  readonly port: number
  readonly directory: string
  readonly #opt: BindOptions
  #process: Guarded | null = null

  private constructor(opt: BindOptions, at: { host: string; port: number }, directory: string) {
    this.#opt = opt
    this.host = at.host
    this.port = at.port
    this.directory = directory
  }

  static async start(opt: BindOptions): Promise<Bind> {
    const directory = await mkdtemp(join(tmpdir(), 'fnaad-bind-'))
    const at = { host: opt.address ?? '127.0.0.1', port: opt.port ?? (await freePort()) }
    const bind = new Bind(opt, at, directory)
    await mkdir(join(directory, 'keys'), { recursive: true })
    for (const zone of opt.zones) await bind.#make(zone)
    await writeFile(join(directory, 'named.conf'), bind.#config())
    await bind.start()
    return bind
  }

  get pid(): number {
    if (!this.#process) throw new Error('BIND does not run')
    return this.#process.pid
  }
  get log(): string {
    return this.#process?.log ?? ''
  }

  /** A file with one key of a zone, as tsig-keygen writes it. */
  keyFile(zone: string, key: BindKey): string {
    return join(this.directory, 'keys', `${key}.${zone}.key`)
  }

  /** Resolves when every zone is served. */
  async start(): Promise<void> {
    if (this.#process?.running) return
    const command = [...this.#within, named(), '-g', '-n', '1', '-c', join(this.directory, 'named.conf')]
    const { log } = this.#opt
    // Its folder outlives it: a server that was killed comes back over the same journals.
    this.#process = await Guarded.start(command, { ...(log && { log }) })
    await this.#process.said('running', START_MS)
    for (const zone of this.#opt.zones) await this.#served(zone)
    if (this.#opt.secondaryOf) await this.#served({ name: this.#opt.secondaryOf.zone, signed: false })
  }

  /** As the kernel ends it when memory is short. */
  async kill(): Promise<void> {
    this.#process?.signal('SIGKILL')
    await this.#process?.ended
  }

  /** Stops answering without closing anything, until `resume`. */
  suspend(): void {
    this.#process?.signal('SIGSTOP')
  }
  resume(): void {
    this.#process?.signal('SIGCONT')
  }

  /** Reads its configuration again: keys that were rotated. */
  async reload(): Promise<void> {
    const loaded = this.#process?.says('all zones loaded', START_MS)
    this.#process?.signal('SIGHUP')
    await loaded
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    this.#process?.signal('SIGCONT')
    this.#process?.signal('SIGTERM')
    await this.#process?.ended
    await rm(this.directory, { recursive: true, force: true })
  }

  /** Another secret for a key, in its file; the server knows it after `reload`. */
  async rotate(zone: string, key: BindKey): Promise<void> {
    await writeFile(this.keyFile(zone, key), keygen(`${key}.${zone}.`, this.#opt.algorithm), { mode: 0o600 })
  }

  /** Sends updates with a key, as nsupdate reads them. @throws Error with what nsupdate says */
  update(zone: string, lines: readonly string[], key: BindKey = 'admin'): void {
    const input = [`server ${this.host} ${this.port}`, ...lines, 'send', ''].join('\n')
    const ran = this.#run(['nsupdate', '-k', this.keyFile(zone, key)], input)
    if (ran.status !== 0) throw new Error(`nsupdate: ${ran.stderr}`)
  }

  /**
   * Signs a zone that is signed by hand; the server serves it after `reload`.
   * @throws Error with what dnssec-signzone says
   */
  sign(zone: string, state: 'valid' | 'expired' = 'valid'): void {
    const dates = state === 'valid' ? [] : ['-s', '20200101000000', '-e', '20200201000000']
    const file = `${zone}.db`
    run(
      this.directory,
      'dnssec-signzone',
      '-P',
      '-z',
      '-K',
      'keys',
      '-S',
      ...dates,
      '-o',
      zone,
      '-f',
      `${file}.signed`,
      file,
    )
  }

  /** What dig says, asked of this server. */
  dig(...args: string[]): string {
    const at = [`@${this.host}`, '-p', String(this.port), '+tries=1', '+time=3']
    return this.#run(['dig', ...at, ...args]).stdout
  }

  /** What the parent publishes for a signed zone: key tag, algorithm, digest type, digest (SHA-256). */
  ds(zone: string): string {
    const keys = this.dig('+noall', '+answer', 'DNSKEY', zone)
    const ran = spawnSync('dnssec-dsfromkey', ['-2', '-f', '-', zone], { input: keys, encoding: 'utf8', env: { PATH } })
    const found = /IN DS (.+)/.exec(ran.stdout)?.[1]
    if (!found) throw new Error(`dnssec-dsfromkey: ${ran.stderr}`)
    return found.trim()
  }

  get #within(): readonly string[] {
    return this.#opt.within ?? []
  }

  #run(command: readonly string[], input = ''): { status: number | null; stdout: string; stderr: string } {
    const [program = '', ...args] = [...this.#within, ...command]
    return spawnSync(program, args, { input, encoding: 'utf8' })
  }

  async #make(zone: BindZone): Promise<void> {
    for (const key of ['agent', 'zone', 'admin'] as const) await this.rotate(zone.name, key)
    const lines = [
      '$TTL 300',
      '@ SOA ns hostmaster 1 3600 600 86400 30',
      '@ NS ns',
      `ns ${this.host.includes(':') ? 'AAAA' : 'A'} ${this.host}`,
      ...(zone.records ?? []),
    ]
    await writeFile(join(this.directory, `${zone.name}.db`), `${lines.join('\n')}\n`)
    if (!zone.byHand) return
    run(this.directory, 'dnssec-keygen', '-q', '-K', 'keys', '-a', 'ECDSAP256SHA256', '-f', 'KSK', zone.name)
    this.sign(zone.name, zone.byHand)
  }

  #config(): string {
    const { directory, host, port } = this
    const v6 = host.includes(':')
    const listen = `port ${port} { ${host}; }`
    const zones = this.#opt.zones.map(z => {
      if (z.byHand) return `zone "${z.name}" { type primary; file "${z.name}.db.signed"; };`
      const agent = `agent.${z.name}.`
      const secure = z.signed === false ? '' : 'dnssec-policy plain; inline-signing no;'
      return `include "${this.keyFile(z.name, 'admin')}";
include "${this.keyFile(z.name, 'agent')}";
include "${this.keyFile(z.name, 'zone')}";
zone "${z.name}" {
  type primary; file "${z.name}.db"; ${secure}
  update-policy {
    ${(z.policy ?? []).join(' ')}
    grant admin.${z.name}. zonesub ANY;
    deny zone.${z.name}. name ${z.name}. ANY;
    deny zone.${z.name}. subdomain _fnapkey.${z.name}. ANY;
    grant zone.${z.name}. zonesub PTR SRV TXT A AAAA NS DS;
    deny ${agent} name ${z.name}. ANY;
    deny ${agent} name _fnap.${z.name}. ANY;
    deny ${agent} subdomain _fnapkey.${z.name}. ANY;
    grant ${agent} zonesub ${z.agentTypes ?? 'PTR SRV TXT'};
  };
};`
    })
    return `options {
  directory "${directory}"; key-directory "${directory}/keys"; managed-keys-directory "${directory}";
  pid-file none; session-keyfile none;
  listen-on ${v6 ? '{ none; }' : listen}; listen-on-v6 ${v6 ? listen : '{ none; }'};
  recursion no; dnssec-validation no; notify no; allow-transfer { 127.0.0.1; ::1; }; empty-zones-enable no;
};
controls { };
dnssec-policy plain { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; dnskey-ttl 300; };
${zones.join('\n')}
${this.#secondary()}`
  }

  #secondary(): string {
    const of = this.#opt.secondaryOf
    if (!of) return ''
    return `include "${of.primary.keyFile(of.zone, 'agent')}";\nzone "${of.zone}" { type secondary; primaries { ${of.primary.host} port ${of.primary.port}; }; };\n`
  }

  async #served(zone: BindZone): Promise<void> {
    const end = Date.now() + START_MS
    const wanted = zone.signed === false ? /status: NOERROR/ : /RRSIG\s+SOA 13/
    while (!wanted.test(this.dig('+dnssec', 'SOA', zone.name))) {
      if (Date.now() > end || !this.#process?.running) throw new Error(`BIND does not serve ${zone.name}:\n${this.log}`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

function named(): string {
  return join(program('named') ?? '', 'named')
}

function run(cwd: string, program: string, ...args: string[]): void {
  const ran = spawnSync(program, args, { cwd, encoding: 'utf8', env: { PATH } })
  if (ran.status !== 0) throw new Error(`${program}: ${ran.error?.message ?? ran.stderr}`)
}

function keygen(name: string, algorithm = 'hmac-sha256'): string {
  const ran = spawnSync('tsig-keygen', ['-a', algorithm, name], { encoding: 'utf8', env: { PATH } })
  if (ran.status !== 0) throw new Error(`tsig-keygen: ${ran.error?.message ?? ran.stderr}`)
  return ran.stdout
}

/** The key of a file of BIND's, for clients of tests that speak TSIG themselves. */
export async function readKey(file: string): Promise<{ name: string; algorithm: string; secret: string }> {
  const text = await readFile(file, 'utf8')
  const of = (pattern: RegExp) => pattern.exec(text)?.[1] ?? ''
  return { name: of(/key "([^"]+)"/), algorithm: of(/algorithm ([\w-]+)/), secret: of(/secret "([^"]+)"/) }
}
