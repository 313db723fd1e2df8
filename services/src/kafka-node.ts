import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Guarded } from './guarded.js'
import { java, type KafkaVersion, logging } from './kafka-install.js'

export interface Ports {
  readonly plain: number
  readonly controller: number
  readonly secure: number
}
/** Whose tokens the secure listener takes (OAUTHBEARER): signed JWT. */
export interface Tokens {
  /** Where the issuer's keys are (JWKS), by HTTP. */
  readonly keys: string
  readonly issuer: string
  readonly audience: string
  /** The subject that may everything. */
  readonly admin: string
}
/** What all nodes of a cluster share. */
export interface Cluster {
  readonly version: KafkaVersion
  readonly directory: string
  readonly jars: string
  readonly id: string
  /** Where all its nodes listen. */
  readonly address: string
  /** What its programs run behind, such as `Host.within` of a network namespace. */
  readonly within: readonly string[]
  readonly ports: readonly Ports[]
  readonly secure: { readonly username: string; readonly password: string } | null
  readonly tokens?: Tokens
  readonly plain: { readonly username: string; readonly password: string } | null
  readonly advertise: string | null
  readonly settings: Readonly<Record<string, string | number>>
  readonly log?: (line: string) => void
}

/** Small and quick to start: a broker of tests holds little and lives shortly. */
const BROKER = '-Xms96m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxDirectMemorySize=64m'.split(' ')
const TOOL = '-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1'.split(' ')
/** Milliseconds; a start takes three seconds on an idle machine. */
const START = 120_000

/** The command that runs a class of Kafka's. */
export const jvm = (c: Cluster, kind: 'broker' | 'tool', main: string, args: readonly string[]) => [
  ...c.within,
  java(),
  ...(kind === 'broker' ? BROKER : TOOL),
  // Kafka 4 asks nobody for keys whom its operator has not named.
  ...(kind === 'broker' && c.tokens ? [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${c.tokens.keys}`] : []),
  logging(c.version),
  '-cp',
  `${c.jars}/*`,
  main,
  ...args,
]

/** One broker, controller too, that can be ended and come back over the same data. */
export class KafkaNode {
  readonly number: number
  readonly #cluster: Cluster
  readonly #folder: string
  #process: Guarded | null = null

  /** @param number from 1 */
  constructor(cluster: Cluster, number: number) {
    this.#cluster = cluster
    this.number = number
    this.#folder = join(cluster.directory, `node-${number}`)
  }

  /** The JVM's. @throws Error where it does not run */
  get pid(): number {
    return this.#alive().pid
  }

  /** Makes its storage, once. */
  async format(): Promise<void> {
    const c = this.#cluster
    await mkdir(this.#folder, { recursive: true })
    await writeFile(join(this.#folder, 'server.properties'), properties(c, this.number, this.#folder))
    const admin = c.secure
    const users = admin ? ['--add-scram', `SCRAM-SHA-256=[name=${admin.username},password=${admin.password}]`] : []
    const args = ['format', '-t', c.id, '-c', join(this.#folder, 'server.properties'), ...users]
    const folder = this.#folder
    const run = await Guarded.start(jvm(c, 'tool', 'kafka.tools.StorageTool', args), { folder, cluster: c.directory })
    await run.ended
    if (run.code !== 0) throw new Error(`Kafka could not make the storage of node ${this.number}:\n${run.log}`)
  }

  /** Resolves when it serves. @throws Error with the last lines of its log */
  async start(): Promise<void> {
    if (this.#process?.running) return
    const command = jvm(this.#cluster, 'broker', 'kafka.Kafka', [join(this.#folder, 'server.properties')])
    const { log, directory } = this.#cluster
    const folders = { folder: this.#folder, cluster: directory }
    this.#process = await Guarded.start(command, { ...folders, ...(log && { log }) })
    await this.#process.said('Kafka Server started', START).catch(e => {
      throw new Error(`Kafka node ${this.number} did not start: ${(e as Error).message}`)
    })
  }

  /** Resolves when it has ended. SIGTERM has it hand its partitions over first. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const running = this.#process
    this.#process = null
    running?.signal(signal)
    await running?.ended
  }
  /** It hangs from now on: connections stay, nobody answers. */
  pause(): void {
    this.#alive().signal('SIGSTOP')
  }
  resume(): void {
    this.#alive().signal('SIGCONT')
  }

  #alive(): Guarded {
    if (!this.#process?.running) throw new Error(`node ${this.number} does not run`)
    return this.#process
  }
}

function properties(c: Cluster, number: number, folder: string): string {
  const replicas = Math.min(c.ports.length, 3)
  const own = c.ports[number - 1]!
  const at = (name: string, port: number) => `${name}://${c.address}:${port}`
  const listeners = [at('PLAIN', own.plain), at('CONTROLLER', own.controller)]
  return lines({
    'process.roles': 'broker,controller',
    'node.id': number,
    'controller.quorum.voters': c.ports.map((p, i) => `${i + 1}@${c.address}:${p.controller}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: (c.secure ? [...listeners, at('SECURE', own.secure)] : listeners).join(','),
    'listener.security.protocol.map': 'PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
    'inter.broker.listener.name': 'PLAIN',
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    ...internalTopic('offsets.topic', replicas),
    ...internalTopic('transaction.state.log', replicas),
    'transaction.state.log.min.isr': Math.ceil((replicas + 1) / 2),
    // Groups form at once, retention is looked at often, and a dead node is noticed after three seconds instead of nine.
    'group.initial.rebalance.delay.ms': 0,
    'log.retention.check.interval.ms': 1_000,
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    // The default is 128 MB of heap.
    'log.cleaner.dedupe.buffer.size': 4 << 20,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    ...(c.secure && secured(c.directory, c.secure.username)),
    ...(c.secure && c.tokens && byToken(c.version, c.tokens, c.secure.username)),
    ...(c.secure && c.plain && plainly(c.plain, c.secure.username)),
    ...(c.advertise !== null && { 'advertised.listeners': `${at('PLAIN', own.plain)},SECURE://${c.advertise}` }),
    ...c.settings,
  })
}

const internalTopic = (name: string, replicas: number) => ({
  [`${name}.replication.factor`]: replicas,
  [`${name}.num.partitions`]: 4,
})

/** Rights count on the SASL_SSL listener only: whoever comes by the plain one is ANONYMOUS, who may everything. */
const secured = (directory: string, admin: string) => ({
  'sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512',
  ...Object.fromEntries(
    ['256', '512'].map(bits => [
      `listener.name.secure.scram-sha-${bits}.sasl.jaas.config`,
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    ]),
  ),
  'ssl.keystore.type': 'PEM',
  'ssl.keystore.location': join(directory, 'server.pem'),
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': `User:${admin};User:ANONYMOUS`,
})

function byToken(version: KafkaVersion, t: Tokens, admin: string) {
  const where = 'org.apache.kafka.common.security.oauthbearer'
  const handler = version.startsWith('3.') ? `${where}.secured` : where
  const of = 'listener.name.secure.oauthbearer.sasl'
  return {
    'sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    [`${of}.jaas.config`]: `${where}.OAuthBearerLoginModule required;`,
    [`${of}.server.callback.handler.class`]: `${handler}.OAuthBearerValidatorCallbackHandler`,
    [`${of}.oauthbearer.jwks.endpoint.url`]: t.keys,
    [`${of}.oauthbearer.expected.issuer`]: t.issuer,
    [`${of}.oauthbearer.expected.audience`]: t.audience,
    // A session ends with its token, and its client has to log in anew (KIP-368).
    'listener.name.secure.oauthbearer.connections.max.reauth.ms': 3_600_000,
    'super.users': `User:${admin};User:${t.admin};User:ANONYMOUS`,
  }
}

/** SASL PLAIN for this one user, who may everything, and no SCRAM. */
const plainly = ({ username, password }: NonNullable<Cluster['plain']>, admin: string) => ({
  'sasl.enabled.mechanisms': 'PLAIN',
  'listener.name.secure.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`,
  'super.users': `User:${admin};User:ANONYMOUS;User:${username}`,
})

/** A Java properties file. */
export const lines = (values: Readonly<Record<string, string | number>>) =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
