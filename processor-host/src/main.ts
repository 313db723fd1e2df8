import { chmod } from 'node:fs/promises'
import { createLogger } from '@fnaa/core'
import { ProcessorServer } from './server.js'

/**
 * `fnaad-processor-host <socket>`: runs processors for the agent that started it. It exits when the pipe to that agent
 * (its standard input) ends: a host that lives on alone would be a second writer (federation rule 8).
 */
async function main(): Promise<void> {
  const socket = process.argv[2]
  if (!socket) {
    process.stderr.write('usage: fnaad-processor-host SOCKET (it is started by runtime-process)\n')
    process.exitCode = 2
    return
  }
  process.stdin.resume()
  process.stdin.on('end', () => process.exit(0))
  process.stdin.on('error', () => process.exit(0))
  process.stdout.on('error', () => process.exit(0))
  process.on('SIGINT', () => undefined)
  process.umask(0o077)
  const log = createLogger((process.env['FNAAD_LOG_LEVEL'] as 'info' | undefined) ?? 'warn')
  const server = new ProcessorServer(log)
  await server.listen(`unix:${socket}`)
  await chmod(socket, 0o600)
  process.stdout.write('ready\n')
  process.on('SIGTERM', () => void server.close().then(() => process.exit(0)))
}

void main()
