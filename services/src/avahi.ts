import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Guarded } from './guarded.js'
import type { Host } from './network.js'

const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`
const START_MS = 30_000
const BROWSE_S = 20

/** Why Avahi cannot run here; null where it can. In CI always null. */
export function avahiUnavailable(): string | null {
  if (process.env['CI']) return null
  const missing = ['avahi-daemon', 'avahi-browse', 'dbus-daemon'].filter(
    p => !PATH.split(':').some(directory => existsSync(join(directory, p))),
  )
  return missing.length === 0 ? null : `${missing.join(', ')} not found: apt install avahi-daemon avahi-utils dbus`
}

/** Avahi on a host, with a message bus of its own; it asks the host's resolver, beyond the local network (wide-area). */
export class Avahi {
  readonly #host: Pick<Host, 'within'>
  readonly #directory: string
  readonly #programs: Guarded[] = []

  private constructor(host: Pick<Host, 'within'>, directory: string) {
    this.#host = host
    this.#directory = directory
  }

  static async start(host: Pick<Host, 'within'>): Promise<Avahi> {
    const directory = await mkdtemp(join(tmpdir(), 'fnaad-avahi-'))
    const avahi = new Avahi(host, directory)
    const bus = join(directory, 'bus.conf')
    await writeFile(bus, BUS.replace('PATH', join(directory, 'bus')))
    const conf = join(directory, 'avahi.conf')
    await writeFile(
      conf,
      '[server]\nuse-ipv6=no\n[wide-area]\nenable-wide-area=yes\n[publish]\ndisable-publishing=yes\n',
    )
    const open = ['--no-drop-root', '--no-chroot', '--no-rlimits']
    await avahi.#run(
      ['dbus-daemon', `--config-file=${bus}`, '--nofork', '--nopidfile', '--print-address'],
      'unix:path=',
    )
    await avahi.#run(['avahi-daemon', '-f', conf, ...open], 'Server startup complete')
    return avahi
  }

  /** What avahi-browse finds, a line each, with `;` between the fields. */
  browse(...args: string[]): string {
    const [program = '', ...more] = [...this.#within, 'timeout', String(BROWSE_S), 'avahi-browse', '-p', '-t', ...args]
    return spawnSync(program, more, { encoding: 'utf8' }).stdout
  }

  async stop(): Promise<void> {
    for (const p of this.#programs.reverse()) {
      p.signal('SIGKILL')
      await p.ended
    }
    await rm(this.#directory, { recursive: true, force: true })
  }

  get #within(): readonly string[] {
    return [...this.#host.within, 'env', `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${join(this.#directory, 'bus')}`]
  }

  async #run(command: readonly string[], up: string): Promise<void> {
    const started = await Guarded.start([...this.#within, ...command], { folder: this.#directory })
    this.#programs.push(started)
    await started.said(up, START_MS)
  }
}

/** Whoever reaches the socket may everything: it lies in a folder of its owner. */
const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=PATH</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow send_type="method_call"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
`
