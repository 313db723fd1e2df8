import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { FnapConnection, plain } from '@fnaa/client'
import { formatCommand } from '@fnaa/protocol'
import type { Participant } from './dev.js'

const TICK_MS = 1000

/** A flow that gets an event each second, a subscription to it across organisations, and the events as they arrive there. */
export class Demo {
  readonly #source: Participant
  readonly #sink: Participant
  readonly #say: (line?: string) => void
  readonly #stop = new AbortController()
  readonly #open: FnapConnection[] = []

  constructor(source: Participant, sink: Participant, say: (line?: string) => void) {
    this.#source = source
    this.#sink = sink
    this.#say = say
  }

  get #flow(): string {
    return `time.${this.#source.namespace}`
  }
  get #local(): string {
    return `time.${this.#sink.namespace}`
  }

  /** As a user would: over FNAP, with a password. Resolves when the subscription is active. */
  async begin(signal: AbortSignal): Promise<void> {
    const owner = await this.#login(this.#source)
    const created = await owner.command(
      formatCommand(
        'CREATE FLOW',
        { flow: this.#flow },
        { visibility: 'public', about: { title: 'The time, once a second' } },
      ),
      { signal },
    )
    if (created.kind === 'error' && created.symbol !== 'EXISTS')
      throw new Error(`CREATE FLOW: ${created.symbol} ${created.text}`)
    this.#say(`${this.#source.domain}: flow ${this.#flow}`)
    void this.#tick(owner)
    const subscriber = await this.#login(this.#sink)
    for (;;) {
      const reply = await subscriber.command(formatCommand('SUBSCRIBE', { flow: this.#flow }, { local: this.#local }), {
        signal,
      })
      if (reply.kind === 'data') {
        this.#say(`${this.#sink.domain}: ${reply.lines[0]}`)
        return
      }
      if (reply.kind === 'pending')
        return this.#say(`${this.#sink.domain}: waits for the owner (GET REQUESTS, APPROVE)`)
      if (!reply.temporary || signal.aborted) {
        this.#say(`${this.#sink.domain}: not subscribed to ${this.#flow}: ${reply.code} ${reply.symbol} ${reply.text}`)
        this.#say('  (was it removed or blocked? GRANT it again, or begin anew with: npm start -- --fresh)')
        return
      }
      await new Promise(resolve => setTimeout(resolve, 500))
    }
  }

  /** Prints what arrives at the subscriber. */
  show(): void {
    void this.#follow().catch(e => {
      if (!this.#stop.signal.aborted) this.#say(`reading ${this.#local} ended: ${(e as Error).message}`)
    })
  }

  async end(): Promise<void> {
    this.#stop.abort()
    for (const c of this.#open) c.destroy()
  }

  async #login(p: Participant): Promise<FnapConnection> {
    const socket = connect(p.agent.addresses[0]!.port, '127.0.0.1')
    await once(socket, 'connect')
    const connection = await FnapConnection.connect(socket)
    const [{ name, password }] = p.users as readonly [{ name: string; password: string }]
    await connection.authenticate('PLAIN', plain({ user: name, password, peer: connection.peerInfo() }))
    this.#open.push(connection)
    return connection
  }

  async #tick(connection: FnapConnection): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        const sink = await connection.write(formatCommand('WRITE FLOW', { flow: this.#flow }, {}))
        await sink.send(JSON.stringify({ time: new Date().toISOString() }))
        await sink.end()
      } catch (e) {
        if (!this.#stop.signal.aborted) this.#say(`writing ${this.#flow} ended: ${(e as Error).message}`)
        return
      }
      await new Promise(resolve => setTimeout(resolve, TICK_MS).unref())
    }
  }

  async #follow(): Promise<void> {
    const connection = await this.#login(this.#sink)
    const lines = await connection.readLines(formatCommand('READ FLOW', { flow: this.#local }, { follow: true }))
    for await (const line of lines) {
      const event = JSON.parse(line) as { data?: { time?: string } }
      this.#say(`${this.#local} < ${JSON.stringify(event.data ?? event)}`)
    }
  }

  /** A `.flow.yml` for fnua, with both agents in it. */
  async writeUserConfig(): Promise<void> {
    const entry = (p: Participant) => {
      const [user] = p.users
      const { host } = p.agent.kernel.config
      return `  - name: fnaa-${p.domain.split('.')[0]}\n    fqdn: ${host}\n    address: 127.0.0.1:${p.agent.addresses[0]!.port}\n    username: ${user?.name}\n    password: ${user?.password}\n    prefix: ${p.domain}-\n`
    }
    const both = [this.#source, this.#sink]
    const text = `# Written by fnaad dev: the two agents that it runs, for fnua --config.\nnameserver: ${this.#source.dns.host}:${this.#source.dns.port}\nagents:\n${both.map(entry).join('')}namespaces:\n${both.map(p => `  - name: ${p.namespace}\n    agent: fnaa-${p.domain.split('.')[0]}\n`).join('')}`
    await writeFile(join(dirname(this.#source.agent.kernel.config.data), 'flow.yml'), text, { mode: 0o600 })
  }
}
