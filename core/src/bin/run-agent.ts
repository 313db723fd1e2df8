import { Agent } from '../agent.js'
import { loadConfig } from '../config/load.js'
import { surroundings } from '../config/surroundings.js'
import { validate } from '../config/validate.js'
import { createLogger } from '../log.js'
import { armKill } from '../resources/kill-hook.js'
import { AdminSocket } from '../server/admin-socket.js'
import { explain } from './explain.js'

/** `fnaad --config FILE`: one agent, until SIGTERM or SIGINT. The second signal ends it at once. */
export async function runAgent(path: string): Promise<number> {
  armKill(process.env)
  const loaded = await loadConfig(path)
  const { config, plugins } = await validate(loaded, c => surroundings(c, { dates: false }))
  const level = config.log?.level ?? 'info'
  // Processor hosts inherit it.
  process.env['FNAAD_LOG_LEVEL'] ??= level
  const log = createLogger(level)
  log.info({ config: loaded.file }, 'using config file')
  // A promise that nobody awaited is a bug to be mended, not a reason to drop every session.
  process.on('unhandledRejection', err => log.error({ err }, 'a rejection that nobody handled'))
  const agent = await Agent.start({ config, plugins, base: loaded.base, log }).catch(async e => {
    throw await explain(e, {
      running: `stop it, or give this one another data in ${loaded.file}`,
      port: `stop it, or choose another port in ${loaded.file}`,
    })
  })
  const admin = await AdminSocket.open(agent.kernel, () => agent.publishKeys()).catch(async e => {
    await agent.close()
    throw e
  })
  // Before anyone is told that it runs: a signal may come at once.
  const stopped = stopSignal()
  log.info({ host: config.host, addresses: agent.addresses, pid: process.pid }, 'ready')
  process.send?.({ ready: agent.addresses })
  const signal = await stopped
  log.info({ signal }, 'closing')
  process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1))
  await admin.close()
  await agent.drain()
  await agent.close()
  return 0
}

export function stopSignal(): Promise<string> {
  return new Promise(resolve => {
    for (const s of ['SIGTERM', 'SIGINT'] as const) process.once(s, () => resolve(s))
  })
}
