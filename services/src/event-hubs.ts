import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { type Kafka, startKafka } from './kafka.js'
import { freePort } from './ports.js'

/** The face of Azure Event Hubs: a Kafka that does less. */
export interface EventHubs {
  readonly servers: readonly string[]
  /** PEM. */
  readonly ca: string
  readonly username: '$ConnectionString'
  /** The connection string. */
  readonly password: string
  /** What stands behind it. */
  readonly kafka: Kafka
  stop(): Promise<void>
}

/** By the number of a request: its highest version. What is missing is not there: no rights, no SCRAM users, no transactions, no single settings. */
const SPOKEN: ReadonlyMap<number, number> = new Map([
  [0, 7],
  [1, 11],
  [2, 5],
  [3, 7],
  [8, 5],
  [9, 5],
  [10, 2],
  [11, 5],
  [12, 3],
  [13, 3],
  [14, 3],
  [15, 4],
  [16, 2],
  [17, 1],
  [18, 2],
  [19, 4],
  [20, 3],
  [22, 1],
  [32, 2],
  [36, 1],
  [37, 1],
  [42, 1],
])
const API_VERSIONS = 18

/**
 * A stand-in for Event Hubs' Kafka endpoint, on loopback: a real Kafka behind TLS, SASL PLAIN with a connection string, and a proxy that
 * announces few requests in old versions and hangs up on any other. Quotas, OAuth, and what the real one does to idle connections
 * it cannot show.
 */
export async function startEventHubs(): Promise<EventHubs> {
  const port = await freePort()
  const key = randomBytes(32).toString('base64')
  const password = `Endpoint=sb://unix.servicebus.windows.net/;SharedAccessKeyName=fnaad;SharedAccessKey=${key}`
  const username = '$ConnectionString'
  const advertise = `127.0.0.1:${port}`
  const kafka = await startKafka({ secure: true, plain: { username, password }, advertise })
  try {
    const pem = await readFile(join(kafka.directory, 'server.pem'))
    const server = createServer({ key: pem, cert: pem }, socket => relay(socket, kafka))
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
    const stop = async () => {
      server.close()
      await kafka.stop()
    }
    return { servers: [advertise], ca: kafka.ca, username, password, kafka, stop }
  } catch (e) {
    await kafka.stop()
    throw e
  }
}

function relay(client: TLSSocket, kafka: Kafka): void {
  const at = kafka.secureServers[0]!.split(':')
  const broker = connect({ socket: connectTcp(Number(at[1]), at[0]!), servername: 'localhost', ca: kafka.ca })
  const end = () => {
    client.destroy()
    broker.destroy()
  }
  for (const socket of [client, broker]) socket.on('error', end).on('close', end)
  /** Correlation ids of questions for versions. */
  const versions = new Set<number>()
  client.on(
    'data',
    frames(frame => {
      const [api, version, correlation] = [frame.readInt16BE(4), frame.readInt16BE(6), frame.readInt32BE(8)]
      if (version > (SPOKEN.get(api) ?? -1)) return end()
      if (api === API_VERSIONS) versions.add(correlation)
      broker.write(frame)
    }),
  )
  broker.on(
    'data',
    frames(frame => client.write(versions.delete(frame.readInt32BE(4)) ? fewer(frame) : frame)),
  )
}

/** Cuts a stream into messages with their length in front. */
function frames(each: (frame: Buffer) => void): (chunk: Buffer) => void {
  let held = Buffer.alloc(0)
  return chunk => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
      const length = 4 + held.readInt32BE(0)
      each(held.subarray(0, length))
      held = held.subarray(length)
    }
  }
}

/** The answer to ApiVersions (0 to 2) with what is spoken here. */
function fewer(frame: Buffer): Buffer {
  const count = frame.readInt32BE(10)
  const kept: Buffer[] = []
  for (let i = 0; i < count; i++) {
    const entry = Buffer.from(frame.subarray(14 + 6 * i, 20 + 6 * i))
    const most = SPOKEN.get(entry.readInt16BE(0))
    if (most === undefined || entry.readInt16BE(2) > most) continue
    entry.writeInt16BE(Math.min(most, entry.readInt16BE(4)), 4)
    kept.push(entry)
  }
  const head = Buffer.from(frame.subarray(0, 14))
  head.writeInt32BE(kept.length, 10)
  const all = Buffer.concat([head, ...kept, frame.subarray(14 + 6 * count)])
  all.writeInt32BE(all.length - 4, 0)
  return all
}
