import { rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { isAbsolute, join, resolve } from 'node:path'
import { signalAfter } from '@fnaa/client'
import { Agent } from '../agent.js'
import { explain } from '../bin/explain.js'
import { stopSignal } from '../bin/run-agent.js'
import { UsageError } from '../bin/usage.js'
import type { Config, ConfigAt } from '../config/define.js'
import { loadConfig } from '../config/load.js'
import { folder, surroundings } from '../config/surroundings.js'
import { validate } from '../config/validate.js'
import { FnaError } from '../contract/errors.js'
import { createLogger } from '../log.js'
import { AdminSocket, adminCommands, askAgent, runAdmin } from '../server/admin-socket.js'
import { advice, hints } from './advice.js'
import { Demo } from './demo.js'

export interface DevOptions {
  readonly config: string
  readonly port?: string
  readonly domains?: string
  readonly data?: string
  readonly fresh?: boolean
  readonly empty?: boolean
  readonly kafka?: string
  readonly json?: boolean
}

/** A participant as `--json` prints it. */
export interface Participant {
  readonly domain: string
  readonly agent: Agent
  readonly dns: { readonly host: string; readonly port: number }
  readonly namespace: string
  readonly users: readonly { readonly name: string; readonly password: string }[]
  readonly admin: AdminSocket
}
/** The two domains where the command line names none. */
export const DOMAINS = 'unix.test,emiliano.test'
const USER = { name: 'test', password: 'test' }
const READY_MS = 60_000
const ANSWER_MS = 2000

/** `fnaad dev`: two participants on loopback, the one subscribed to a flow of the other, until Ctrl-C. */
export async function dev(o: DevOptions): Promise<number> {
  const domains = (o.domains ?? DOMAINS).split(',').map(d => d.trim().toLowerCase())
  const port = Number(o.port ?? 61_000)
  if (domains.length !== 2 || domains[0] === domains[1])
    throw new UsageError(`--domains is ${o.domains}: it takes two different domains, such as a.test,b.test`)
  if (!Number.isInteger(port) || port < 1 || port > 65_534)
    throw new UsageError(`--port is ${o.port}: it must be 1 to 65534, and the second agent gets the next one`)
  const kafka = clusters(o.kafka)
  const data = resolve(o.data ?? '.fnaad')
  const [unfit] = await folder('--data', data)
  if (unfit) throw new UsageError(unfit.message)
  if (o.fresh) for (const d of domains) await forget(join(data, d))
  process.stdout.on('error', () => undefined)
  const say = o.json ? () => undefined : (line = '') => void process.stdout.write(`${line}\n`)
  const [a, b] = [await freePort(), await freePort()]
  const at = (i: number, other: number): ConfigAt => ({
    domain: domains[i]!,
    port: port + i,
    data: join(data, domains[i]!),
    ca: join(data, 'ca'),
    dnsPort: [a, b][i]!,
    neighbours: { [domains[other]!]: `127.0.0.1:${[a, b][other]}` },
    ...(kafka && { kafka: kafka[i] as string }),
  })
  const participants: Participant[] = []
  try {
    for (const [i, other] of [
      [0, 1],
      [1, 0],
    ] as const) {
      participants.push(
        await start(o.config, at(i, other)).catch(async e => {
          throw await explain(e, await advice(o, port))
        }),
      )
      const p = participants[i]!
      say(`${p.domain}: agent ${p.agent.kernel.config.host} on 127.0.0.1:${port + i}, names on 127.0.0.1:${p.dns.port}`)
    }
    for (const [i, server] of (kafka ?? []).entries())
      if (!(await answers(server)))
        process.stderr.write(`${domains[i]}: no Kafka answers at ${server}: waiting for it\n`)
    const demo = new Demo(participants[0]!, participants[1]!, say)
    await demo.writeUserConfig()
    if (!o.empty) await demo.begin(signalAfter(READY_MS))
    // Before anyone is told that it runs: a signal may come at once.
    const stopped = stopSignal()
    if (o.json) process.stdout.write(`${JSON.stringify({ participants: participants.map(p => summary(p)) })}\n`)
    else hints(participants, o, say)
    if (!o.empty) demo.show()
    process.send?.({ ready: true })
    await stopped
    say()
    say('closing …')
    await demo.end()
  } finally {
    for (const p of participants.reverse()) {
      await p.admin.close()
      await p.agent.drain(2000)
      await p.agent.close()
    }
  }
  return 0
}

/** One cluster each. */
function clusters(given: string | undefined): string[] | null {
  if (given === undefined) return null
  const both = given.split(',').map(s => s.trim())
  if (both.length === 2 && both.every(s => /^[^\s:]+:\d{1,5}$/.test(s))) return both
  throw new UsageError(`--kafka is ${given}: it takes a cluster for each participant, host:port,host:port`)
}

/** Somebody listens there. @param server `host:port` */
function answers(server: string): Promise<boolean> {
  const at = server.lastIndexOf(':')
  return new Promise(done => {
    const socket = connect({ host: server.slice(0, at), port: Number(server.slice(at + 1)), timeout: ANSWER_MS })
    const end = (is: boolean) => {
      socket.destroy()
      done(is)
    }
    socket.once('connect', () => end(true))
    for (const sign of ['error', 'timeout']) socket.once(sign, () => end(false))
  })
}

/** Removes the state of the last time; what an agent uses stays, and the boot says which. */
async function forget(data: string): Promise<void> {
  if (!(await askAgent(data, { name: 'is anybody there', args: [] }).catch(() => true))) {
    await rm(data, { recursive: true, force: true })
  }
}

async function start(config: string, at: ConfigAt): Promise<Participant> {
  const loaded = await loadConfig(config, at)
  const { config: checked, plugins } = await validate(loaded, surroundings)
  const loopback = checked.listen.every(l => /\/\/(127\.|\[::1\])/.test(l))
  if (!loopback)
    throw new FnaError(
      'FNA_ERR_CONFIG',
      'fnaad dev runs on loopback listeners only: its user test has the password test',
    )
  const level = (process.env['FNAAD_LOG_LEVEL'] as 'warn' | undefined) ?? 'error'
  // Processor hosts inherit it.
  process.env['FNAAD_LOG_LEVEL'] = level
  const absolute = isAbsolute(checked.data) ? checked : { ...checked, data: resolve(checked.data) }
  const agent = await Agent.start({ config: absolute, plugins, base: loaded.base, log: createLogger(level) })
  try {
    return await equip(agent, checked)
  } catch (e) {
    await agent.close()
    throw e
  }
}

/** The user of this mode, and what stands around the agent. */
async function equip(agent: Agent, checked: Config): Promise<Participant> {
  const admin = await AdminSocket.open(agent.kernel, () => agent.publishKeys())
  await agent.ready(signalAfter(READY_MS))
  const commands = adminCommands(agent.kernel.loaded)
  const users = await runAdmin(commands, { name: 'user list', args: [] })
  if (!users.some(u => u.split(/\s/)[0]?.split('@')[0] === USER.name)) {
    await runAdmin(commands, { name: 'user add', args: [USER.name], password: USER.password })
  }
  const dns = agent.kernel.loaded.find(l => l.plugin.manifest.kind === 'dns')!.service as unknown as {
    server: { host: string; port: number }
  }
  return {
    domain: checked.domains[0]!,
    agent,
    dns: dns.server,
    namespace: agent.kernel.resources.list('Namespace')[0]!.name,
    users: [USER],
    admin,
  }
}

const summary = (p: Participant) => ({
  domain: p.domain,
  agent: { host: p.agent.kernel.config.host, port: p.agent.addresses[0]!.port },
  dns: p.dns,
  users: p.users,
  namespace: p.namespace,
  flows: p.agent.kernel.resources.list('Flow').map(f => f.name),
  subscriptions: p.agent.kernel.resources
    .list('Subscription')
    .map(s => ({ id: s.name, source: s.spec.source, local: s.spec.local, phase: s.status.phase })),
})

/** A port that nobody has now. */
function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer()
    server.once('error', fail).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => done(port))
    })
  })
}
