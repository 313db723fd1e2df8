import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Guarded } from './guarded.js'

/** A machine of its own, as far as its network goes: addresses, ports and the resolver's settings are its own. */
export interface Host {
  readonly address: string
  /** Programs run on this host when their command line begins with these words. */
  readonly within: readonly string[]
  /** Packets to and from the host vanish, until `heal`. */
  cut(): void
  heal(): void
}

const START_MS = 10_000
const PREFIX = '10.53.0'

/** Why no network namespaces can be made here; null where they can. In CI always null. */
export function networkUnavailable(): string | null {
  if (process.env['CI']) return null
  if (spawnSync('ip', ['-V']).status !== 0) return 'ip not found: apt install iproute2'
  const tried = spawnSync('unshare', ['--net', '--mount', 'ip', 'link', 'add', 'type', 'veth'], { encoding: 'utf8' })
  return tried.status === 0 ? null : `no network namespaces here: ${tried.stderr.trim() || 'unshare not found'}`
}

/**
 * Hosts in network namespaces, on one switch; the switch is a host too, at 10.53.0.1, and routes nothing. No host reaches
 * anything else, and each asks 127.0.0.1 for names and has no others in /etc/hosts. The namespaces have no names, so they
 * end with the last of their processes, and nothing is left of them however this process ends.
 */
export class Network {
  /** Where what belongs to nobody runs: the root of the names. */
  readonly middle: Host
  readonly #spaces: Guarded[]
  readonly #directory: string
  #last = 10

  private constructor(directory: string, middle: Guarded) {
    this.#directory = directory
    this.#spaces = [middle]
    this.middle = { address: `${PREFIX}.1`, within: into(middle), cut: () => {}, heal: () => {} }
  }

  static async start(): Promise<Network> {
    const directory = await mkdtemp(join(tmpdir(), 'fnaad-network-'))
    await writeFile(join(directory, 'resolv.conf'), 'nameserver 127.0.0.1\n')
    await writeFile(join(directory, 'hosts'), '127.0.0.1 localhost\n')
    const network = new Network(directory, await space(directory))
    network.#ip('link', 'add', 'switch', 'type', 'bridge')
    network.#ip('address', 'add', `${PREFIX}.1/24`, 'dev', 'switch')
    network.#ip('link', 'set', 'switch', 'up')
    return network
  }

  /** Another host on the switch. */
  async host(): Promise<Host> {
    const made = await space(this.#directory)
    this.#spaces.push(made)
    const n = ++this.#last
    const port = `port${n}`
    const address = `${PREFIX}.${n}`
    this.#ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(made.pid))
    run([...into(made), 'ip', 'address', 'add', `${address}/24`, 'dev', 'eth0'])
    run([...into(made), 'ip', 'link', 'set', 'eth0', 'up'])
    const heal = () => this.#ip('link', 'set', port, 'master', 'switch', 'up')
    heal()
    return { address, within: into(made), cut: () => this.#ip('link', 'set', port, 'nomaster'), heal }
  }

  /** Ends the hosts; what still runs on them keeps its own alive. */
  async stop(): Promise<void> {
    for (const s of this.#spaces) s.signal('SIGKILL')
    await Promise.all(this.#spaces.map(s => s.ended))
    await rm(this.#directory, { recursive: true, force: true })
  }

  #ip(...args: string[]): void {
    run([...this.middle.within, 'ip', ...args])
  }
}

/** A process that does nothing holds the namespaces; its files of names cover the machine's. */
async function space(directory: string): Promise<Guarded> {
  const files = ['resolv.conf', 'hosts'].map(f => `mount --bind ${join(directory, f)} /etc/${f}`)
  const script = ['set -e', ...files, 'ip link set lo up', 'echo up', 'exec sleep infinity'].join('\n')
  const held = await Guarded.start(['unshare', '--net', '--mount', 'sh', '-c', script], {})
  await held.said('up', START_MS)
  return held
}

const into = (space: Guarded): readonly string[] => ['nsenter', '-t', String(space.pid), '--net', '--mount', '--']

function run([program = '', ...args]: readonly string[]): void {
  const ran = spawnSync(program, args, { encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`${args.join(' ')}: ${ran.error?.message ?? ran.stderr}`)
}
