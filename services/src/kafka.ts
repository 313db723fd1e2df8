import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Authority, certificates } from './certificates.js'
import { installKafka, type KafkaVersion, USUAL } from './kafka-install.js'
import { type Cluster, KafkaNode, lines, type Tokens } from './kafka-node.js'
import { asks, type Ran, runTool, type ToolOptions } from './kafka-tools.js'
import { freePorts } from './ports.js'

export interface KafkaOptions {
  readonly version?: KafkaVersion
  /** Each is broker and controller. */
  readonly nodes?: 1 | 3
  /** Also a listener for SASL_SSL with SCRAM, and ACLs that hold there. */
  readonly secure?: boolean
  /** The secure listener takes tokens of this issuer too. */
  readonly tokens?: Tokens
  /** With `secure`: SASL PLAIN for this user, who may everything, instead of SCRAM. */
  readonly plain?: User
  /** With `secure`: the `host:port` at which the nodes say that this listener is, whatever it is. */
  readonly advertise?: string
  /** Settings of server.properties, beside or instead of ours. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** With `secure`: on a host of its own instead of loopback. */
  readonly on?: KafkaHost
  /** Gets each line that the brokers write. */
  readonly log?: (line: string) => void
}
/** Where a cluster of one node is found by a name. */
export interface KafkaHost {
  readonly address: string
  /** See `Host.within` of a network namespace. */
  readonly within: readonly string[]
  /** Of the secure listener, and of its certificate. */
  readonly name: string
  readonly port: number
  readonly authority: Authority
}
export interface User {
  readonly username: string
  readonly password: string
}
/** A cluster on loopback. It ends with this process, whatever ends that. */
export class Kafka {
  /** `host:port`, without TLS or passwords; who comes here may everything. */
  readonly servers: readonly string[]
  /** The same nodes by SASL_SSL; empty unless `secure`. */
  readonly secureServers: readonly string[]
  /** PEM, for clients of the secure listener; empty unless `secure`. */
  readonly ca: string
  /** The super user of the secure listener. */
  readonly admin: User | null
  /**
   * A folder for the test's own files (clients' properties, say), removed by `stop`. Of a secure cluster it holds `server.pem`, which
   * a node reads when it starts, and `elsewhere.pem`: of the same CA, for another name.
   */
  readonly directory: string
  readonly version: KafkaVersion
  readonly #cluster: Cluster
  readonly #nodes: readonly KafkaNode[]

  constructor(cluster: Cluster, ca: string) {
    this.#cluster = cluster
    this.directory = cluster.directory
    this.ca = ca
    this.version = cluster.version
    this.admin = cluster.secure
    this.servers = cluster.ports.map(p => `${cluster.address}:${p.plain}`)
    this.secureServers = cluster.secure ? cluster.ports.map(p => `${cluster.address}:${p.secure}`) : []
    this.#nodes = cluster.ports.map((_, i) => new KafkaNode(cluster, i + 1))
  }

  /** @param i from 1 */
  node(i: number): KafkaNode {
    const node = this.#nodes[i - 1]
    if (!node) throw new RangeError(`there is no node ${i} of ${this.#nodes.length}`)
    return node
  }

  /** @throws Error with the node's log */
  async start(): Promise<this> {
    try {
      await Promise.all(this.#nodes.map(node => node.format()))
      await Promise.all(this.#nodes.map(node => node.start()))
      return this
    } catch (e) {
      await this.stop()
      throw e
    }
  }

  /**
   * Runs one of Kafka's programs, a second or two each: its script's name, or a class. `--bootstrap-server` with the plain
   * listener is added to a `kafka-` tool that was given none.
   * @param opt.input its standard input
   * @param opt.signal ends it; what it has written so far is the answer
   * @param opt.heard gets what it writes, to either output, as it does
   * @throws RangeError for a name that is neither
   */
  async tool(name: string, args: readonly string[], opt: ToolOptions = {}): Promise<Ran> {
    return runTool(
      this.#cluster,
      name,
      asks(name, args) ? ['--bootstrap-server', this.servers.join(','), ...args] : args,
      opt,
    )
  }

  /** The path of a properties file by which tools come in at the secure listener as `user`: `--command-config`. */
  async propertiesOf(user: User): Promise<string> {
    const file = join(this.directory, `${user.username}.properties`)
    const login = `username="${user.username}" password="${user.password}"`
    await writeFile(
      file,
      lines({
        'security.protocol': 'SASL_SSL',
        'sasl.mechanism': 'SCRAM-SHA-256',
        'sasl.jaas.config': `org.apache.kafka.common.security.scram.ScramLoginModule required ${login};`,
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.location': join(this.directory, 'ca.pem'),
      }),
      { mode: 0o600 },
    )
    return file
  }

  /** Ends every node at once and removes its data. Idempotent. */
  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(node => node.kill()))
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

/**
 * Kafka on free ports of loopback: `const kafka = await startKafka()`, and `t.teardown(() => kafka.stop())`.
 * Three to six seconds; the first time on a machine it is downloaded before.
 * @throws Error where it cannot be installed or does not start
 */
export async function startKafka(opt: KafkaOptions = {}): Promise<Kafka> {
  const {
    version = USUAL,
    nodes = 1,
    secure = false,
    tokens,
    plain = null,
    advertise = null,
    settings = {},
    log,
    on,
  } = opt
  const jars = installKafka(version)
  const directory = await mkdtemp(join(tmpdir(), 'fnaad-kafka-'))
  const free = await freePorts(nodes * 3)
  const ports = Array.from({ length: nodes }, (_, i) => ({
    plain: free[i * 3]!,
    controller: free[i * 3 + 1]!,
    secure: on?.port ?? free[i * 3 + 2]!,
  }))
  let ca = ''
  if (secure) {
    const made = certificates(on?.authority, on ? { names: [on.name] } : undefined)
    ca = made.ca
    await writeFile(join(directory, 'ca.pem'), ca)
    await writeFile(join(directory, 'server.pem'), made.server, { mode: 0o600 })
    await writeFile(join(directory, 'elsewhere.pem'), made.elsewhere, { mode: 0o600 })
  }
  const admin = secure ? { username: 'admin', password: randomBytes(12).toString('hex') } : null
  // Kafka's cluster id is a UUID in base64url.
  const id = randomBytes(16).toString('base64url').replace(/^-/, 'a')
  const at = { address: on?.address ?? '127.0.0.1', within: on?.within ?? [] }
  const named = advertise ?? (on ? `${on.name}:${on.port}` : null)
  const more = { ...at, ...(tokens && { tokens }), ...(log && { log }) }
  const cluster = { version, directory, jars, id, ports, secure: admin, plain, advertise: named, settings, ...more }
  return new Kafka(cluster, ca).start()
}
