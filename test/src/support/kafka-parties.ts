import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Reply } from '@fnaa/client'
import { type Kafka, type KafkaOptions, startKafka } from '@fnaa/services'
import { type Client, places, type Teardown } from './agents.js'
import { asAdmin } from './kafka-admin.js'
import { ProcessAgent } from './process.js'

/** Two organisations, each with a cluster and an agent in a process of its own. */
export interface Parties {
  /** Owns the flows, on three brokers behind SASL_SSL. */
  readonly a: ProcessAgent
  readonly source: Kafka
  /** Subscribes. */
  readonly b: ProcessAgent
  readonly target: Kafka
}
export interface PartiesOptions {
  readonly guarantee?: 'at-least-once' | 'exactly-once'
  readonly source?: KafkaOptions
  readonly target?: KafkaOptions
}

export async function parties(t: Teardown, opt: PartiesOptions = {}): Promise<Parties> {
  const started = [startKafka({ secure: true, ...opt.source }), startKafka(opt.target)]
  for (const k of started) t.teardown(async () => (await k.catch(() => null))?.stop())
  const [source, target] = (await Promise.all(started)) as [Kafka, Kafka]
  const [wa, wb] = await places(t, ['unix.test', 'emiliano.test'])
  const a = await ProcessAgent.prepare(t, wa!)
  await configure(wa!.data, asAdmin(source))
  const b = await ProcessAgent.prepare(t, wb!)
  await configure(wb!.data, { servers: target.servers }, opt.guarantee)
  await Promise.all([a.start(), b.start()])
  return { a, b, source, target }
}

/** Has an agent's config name a cluster, and what its Bridge promises. */
async function configure(data: string, kafka: object, guarantee = 'at-least-once'): Promise<void> {
  const file = join(data, 'fnaad.config.ts')
  const text = (await readFile(file, 'utf8')).replace('export default', 'const all =')
  const own = `import kafka from ${JSON.stringify(import.meta.resolve('@fnaa/broker-kafka'))}
import bridge from ${JSON.stringify(import.meta.resolve('@fnaa/processor-bridge'))}
const others = all.plugins.filter(p => p && p.id !== 'processor-bridge')
const own = [kafka(${JSON.stringify(kafka)}), bridge({ guarantee: ${JSON.stringify(guarantee)} })]
export default { ...all, plugins: [...others, ...own] }
`
  await writeFile(file, text + own)
}

/** Tries again over restarts of the agent. */
export async function again<T>(agent: ProcessAgent, work: (c: Client) => Promise<T>, ms = 60_000): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    let client: Client | null = null
    try {
      client = await agent.login()
      return await work(client)
    } catch (e) {
      if (Date.now() > end) throw e
      await pause(200)
    } finally {
      client?.connection.destroy()
    }
  }
}

/** Says a line until it is done; what was done before counts. */
export const done = (agent: ProcessAgent, line: string): Promise<Reply> =>
  again(agent, async c => {
    const reply = await c.say(line)
    if (reply.kind === 'error' && reply.symbol !== 'EXISTS') throw new Error(`${line}: ${reply.symbol} ${reply.text}`)
    return reply
  })

/** Resolves with the item of a listing that `is`. @throws Error with what it showed last */
export async function shows(
  agent: ProcessAgent,
  line: string,
  is: (fields: Readonly<Record<string, string>>) => boolean,
  ms = 60_000,
): Promise<Readonly<Record<string, string>>> {
  const end = Date.now() + ms
  for (let last: readonly string[] = []; ; await pause(100)) {
    last = (await done(agent, line)).lines ?? []
    const found = last.map(fieldsOf).find(is)
    if (found) return found
    if (Date.now() > end) throw new Error(`after ${ms} ms ${line} shows\n${last.join('\n')}\n${agent.log}`)
  }
}

const fieldsOf = (line: string): Record<string, string> =>
  Object.fromEntries(
    line.split(' ').flatMap(word => {
      const [, key, value] = /^([^=]+)=(.*)$/.exec(word) ?? []
      return key === undefined ? [] : [[key, decodeURIComponent(value!)]]
    }),
  )
