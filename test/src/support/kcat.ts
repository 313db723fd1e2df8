import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Kafka, User } from '@fnaa/services'
import type { Teardown } from './agents.js'

/** librdkafka's version, as a number that compares; null where there is no kcat (apt-get install kcat). */
const library = ((): number | null => {
  const { stdout, status } = spawnSync('kcat', ['-V'], { encoding: 'utf8' })
  if (status !== 0) return null
  const [major = 0, minor = 0, patch = 0] = (/librdkafka (\d+)\.(\d+)\.(\d+)/.exec(stdout) ?? []).slice(1).map(Number)
  return major * 1e6 + minor * 1e3 + patch
})()

/** Debian's kcat, a client of its own kind that knows nothing of us; without it Kafka's own console tools stand in. */
export const hasKcat = library !== null
/** Before 2.6.1 its library says a nonce in SCRAM that Kafka 4 refuses: then it is tried on the last Kafka 3. */
export const kcatsKafka: { version?: '3.9.1' } = library !== null && library < 2_006_001 ? { version: '3.9.1' } : {}

export interface Outside {
  readonly user: User
  readonly topic: string
  /** A group that the user may use. */
  readonly group: string
}

/** A client of Kafka's that runs, and what it has said so far, errors included. */
export class Client {
  #said = ''
  #over = false
  #waiting: (() => void)[] = []

  get said(): string {
    return this.#said
  }

  hear(text: string): void {
    this.#said += text
    this.#stir()
  }
  over(): void {
    this.#over = true
    this.#stir()
  }

  /** Resolves when it has said so. @throws Error where it ends without, or in so many milliseconds has not */
  async says(what: RegExp, ms = 20_000): Promise<void> {
    const late = AbortSignal.timeout(ms)
    while (!what.test(this.#said)) {
      if (this.#over || late.aborted) throw new Error(`it did not say ${what} but: ${this.#said}`)
      await new Promise<void>(resolve => {
        this.#waiting.push(resolve)
        late.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  #stir(): void {
    for (const go of this.#waiting.splice(0)) go()
  }
}

/** Reads from the beginning and stays. */
export const reads = (t: Teardown, k: Kafka, o: Outside): Client =>
  hasKcat
    ? kcat(t, k, o, ['-C', '-o', 'beginning', '-u'])
    : tool(t, k, o, 'kafka-console-consumer', ['--group', o.group, '--from-beginning'])

/** Writes one event. */
export const writes = (t: Teardown, k: Kafka, o: Outside, value: string): Client =>
  hasKcat
    ? kcat(t, k, o, ['-P', '-X', 'message.timeout.ms=5000'], value)
    : tool(t, k, o, 'kafka-console-producer', [], `${value}\n`)

function kcat(t: Teardown, k: Kafka, o: Outside, args: readonly string[], input = ''): Client {
  const login = {
    'security.protocol': 'SASL_SSL',
    'sasl.mechanisms': 'SCRAM-SHA-256',
    'sasl.username': o.user.username,
    'sasl.password': o.user.password,
    'ssl.ca.location': join(k.directory, 'ca.pem'),
  }
  const options = Object.entries(login).flatMap(([name, value]) => ['-X', `${name}=${value}`])
  const child = spawn('kcat', ['-b', k.secureServers.join(','), '-t', o.topic, ...options, ...args])
  child.stdin.on('error', () => undefined).end(input)
  const client = new Client()
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => client.hear(String(chunk)))
  child.on('close', () => client.over())
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill()
    await closed
  })
  return client
}

function tool(t: Teardown, k: Kafka, o: Outside, name: string, args: readonly string[], input?: string): Client {
  const client = new Client()
  const stop = new AbortController()
  const ran = k.propertiesOf(o.user).then(config => {
    const where = ['--bootstrap-server', k.secureServers.join(','), '--command-config', config, '--topic', o.topic]
    return k.tool(name, [...where, ...args], {
      signal: stop.signal,
      heard: text => client.hear(text),
      ...(input !== undefined && { input }),
    })
  })
  const ended = ran.then(
    () => client.over(),
    () => client.over(),
  )
  t.teardown(() => {
    stop.abort()
    return ended
  })
  return client
}
