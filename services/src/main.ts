import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startEventHubs } from './event-hubs.js'
import { startKafka } from './kafka.js'
import type { KafkaVersion } from './kafka-install.js'
import { USUAL } from './kafka-install.js'

const USAGE = `usage: npm run service -- kafka [--nodes 1|3] [--secure] [--version 4.3.1|3.9.1] [--verbose]
       npm run service -- event-hubs
`

/**
 * A service for a person: starts it, prints where it is, one `name=value` a line, and waits for Ctrl-C.
 * @returns the exit code
 */
export async function main(args: string[]): Promise<number> {
  if (args.join() === 'event-hubs') return eventHubs()
  const opt = read(args)
  if (!opt) {
    process.stderr.write(USAGE)
    return 2
  }
  const kafka = await startKafka(opt)
  say('servers', kafka.servers.join(','))
  if (kafka.admin) {
    say('secureServers', kafka.secureServers.join(','))
    const ca = join(kafka.directory, 'ca.pem')
    say('ca', ca)
    say('username', kafka.admin.username)
    say('password', kafka.admin.password)
    say('properties', await kafka.propertiesOf(kafka.admin))
    const { username, password } = kafka.admin
    const sasl = { mechanism: 'scram-sha-256', username, password }
    const options = { servers: kafka.secureServers, tls: { caFile: ca }, sasl }
    process.stderr.write(`\nin the plugins of fnaad.config.ts: brokerKafka(${JSON.stringify(options)})\n`)
  }
  await interrupted()
  await kafka.stop()
  return 0
}

const say = (name: string, value: string) => process.stdout.write(`${name}=${value}\n`)

const interrupted = () =>
  new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })

async function eventHubs(): Promise<number> {
  const hubs = await startEventHubs()
  say('servers', hubs.servers.join(','))
  say('ca', join(hubs.kafka.directory, 'ca.pem'))
  say('username', hubs.username)
  say('password', hubs.password)
  await interrupted()
  await hubs.stop()
  return 0
}

function read(args: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        nodes: { type: 'string', default: '1' },
        secure: { type: 'boolean', default: false },
        version: { type: 'string', default: USUAL },
        verbose: { type: 'boolean', default: false },
      },
    })
    const { nodes, version, secure, verbose } = values
    if (positionals.join() !== 'kafka' || !['1', '3'].includes(nodes) || !['4.3.1', '3.9.1'].includes(version))
      return null
    return {
      nodes: Number(nodes) as 1 | 3,
      version: version as KafkaVersion,
      secure,
      ...(verbose && { log: (line: string) => void process.stderr.write(`${line}\n`) }),
    }
  } catch {
    return null
  }
}
