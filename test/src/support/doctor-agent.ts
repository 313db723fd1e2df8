import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { CONFIG, freePort, type Teardown } from './agents.js'
import type { DoctorNet, Finding } from './doctor-net.js'
import { FNAAD, PLAIN } from './process.js'

export interface Examined {
  readonly code: number
  readonly broken: string | null
  readonly findings: readonly Finding[]
  readonly stdout: string
  readonly stderr: string
}

const CLOCK = 'clock.mjs'

/** An agent in a process of its own, with its config in a file, as its operator has it. */
export class OperatedAgent {
  readonly domain: string
  readonly port: number
  readonly data: string
  readonly #net: DoctorNet
  readonly #program: readonly string[]
  #child: ChildProcess | null = null

  private constructor(net: DoctorNet, at: { domain: string; port: number; data: string }, program: readonly string[]) {
    this.#net = net
    this.domain = at.domain
    this.port = at.port
    this.data = at.data
    this.#program = program
  }

  /**
   * Writes its config and makes its user; `start` runs it.
   * @param opt.clock milliseconds that the clock of its machine is ahead, for `fnaad` and for `fnaad doctor`
   */
  static async prepare(
    t: Teardown,
    net: DoctorNet,
    at: { domain: string; folder: string; port: number },
    opt: { readonly config?: string; readonly clock?: number } = {},
  ): Promise<OperatedAgent> {
    const { domain, port } = at
    const data = join(at.folder, domain)
    await mkdir(data, { recursive: true })
    const agent = new OperatedAgent(net, { domain, port, data }, ['--import', join(data, CLOCK), FNAAD])
    await agent.turn(opt.clock ?? 0)
    await agent.write(opt.config)
    t.teardown(() => agent.stop())
    return agent
  }

  get config(): string {
    return join(this.data, 'fnaad.config.ts')
  }

  /** Whatever starts on its machine from now on has a clock that is so many milliseconds ahead. */
  turn(ahead: number): Promise<void> {
    return writeFile(join(this.data, CLOCK), `const real = Date.now; Date.now = () => real() + ${ahead}\n`)
  }

  /** Writes its config. @param more what it has beside, as source text */
  async write(more = ''): Promise<void> {
    const at = {
      domain: this.domain,
      port: this.port,
      data: this.data,
      dnsPort: await freePort(),
      ca: join(this.data, '..', 'ca'),
      neighbours: {},
    }
    const bind = this.#net.serverOf(this.domain)
    const dns = {
      server: `${bind.host}:${bind.port}`,
      zones: [this.domain],
      keyFile: bind.keyFile(this.domain, 'agent'),
      timeoutMs: 2000,
    }
    await writeFile(
      this.config,
      `import base from ${JSON.stringify(CONFIG)}
import dnsBind from '@fnaa/dns-bind'
import brokerKafka from '@fnaa/broker-kafka'
const config = base(${JSON.stringify(at)})
export default {
  ...config,
  resolver: { servers: ['${this.#net.nameserver}'], trustAd: true },
  trust: {},
  plugins: [...config.plugins.filter(p => p && p.manifest.kind !== 'dns'), dnsBind(${JSON.stringify(dns)})],
  ${more}
}
`,
    )
  }

  async start(): Promise<this> {
    const child = spawn('env', [...PLAIN, process.execPath, ...this.#program, '--config', this.config], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, FNAAD_LOG_LEVEL: 'error' },
    })
    this.#child = child
    let log = ''
    child.stderr!.on('data', (d: Buffer) => {
      log = (log + d.toString()).slice(-5000)
    })
    const [first] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [unknown]
    if (typeof first !== 'object') throw new Error(`the agent did not start:\n${log}`)
    return this
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (!child || child.exitCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Runs `fnaad --config <its> <words>`. */
  run(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise(resolve => {
      const args = [...PLAIN, process.execPath, ...this.#program, '--config', this.config, ...words]
      execFile('env', args, (e, stdout, stderr) => resolve({ code: e ? Number(e.code) : 0, stdout, stderr }))
    })
  }

  /** The records that prove its domain, as `fnaad key show` prints them. */
  async keys(): Promise<string[]> {
    const { stdout } = await this.run('key', 'show')
    return stdout.split('\n').filter(line => line.includes(' IN TXT '))
  }

  async examine(...words: string[]): Promise<Examined> {
    const ran = await this.run('doctor', '--json', ...words)
    const said = JSON.parse(ran.stdout || '{"broken":"nothing was printed","findings":[]}') as Examined
    return { ...ran, broken: said.broken, findings: said.findings }
  }
}

/** What is wrong with an agent of one's own, and what the doctor says of it. */
export interface Row {
  readonly what: string
  readonly agent: OperatedAgent
  /** Makes it wrong; absent where the agent is so from the beginning. */
  readonly harm?: () => unknown
  readonly layer: string | null
  readonly check: string
  readonly mend: RegExp
  /** Does what was printed. */
  readonly remedy?: (mends: readonly string[]) => unknown
  /** What is examined: the agent's own domains if absent. */
  readonly name?: string
}

/** Nothing is broken. */
export function whole(t: Test, found: Examined): void {
  t.equal(found.broken, null, found.stdout)
  t.equal(found.code, 0, found.stderr)
}

/** Each row harmed, examined, mended as printed, and examined again. */
export async function examineRows(t: Test, rows: readonly Row[]): Promise<void> {
  for (const row of rows) {
    await t.test(row.what, async t => {
      await row.harm?.()
      const look = () => row.agent.examine(...(row.name ? [row.name] : []))
      const found = await look()
      const state = row.layer === null ? 'warning' : 'broken'
      const seen = found.findings.find(f => f.state === state && f.check === row.check)
      t.equal(found.broken, row.layer, found.stderr)
      t.equal(found.code, row.layer === null ? 0 : 1)
      if (!t.ok(seen, 'found')) t.comment(found.stdout)
      const mends = seen?.mend.map(m => m.text) ?? []
      t.ok(
        mends.some(m => row.mend.test(m)),
        mends.join('\n'),
      )
      if (!row.remedy) return
      await row.remedy(mends)
      whole(t, await look())
    })
  }
}
