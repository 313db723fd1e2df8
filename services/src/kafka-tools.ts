import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { guarded } from './guarded.js'
import { type Cluster, jvm } from './kafka-node.js'

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  /** Null where it was ended. */
  readonly code: number | null
}

export interface ToolOptions {
  readonly input?: string
  readonly signal?: AbortSignal
  readonly heard?: (text: string) => void
}

/** Kafka's classes, by the names of the scripts that Kafka's own distribution starts them with. */
const TOOLS: Readonly<Record<string, string>> = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-acls': 'org.apache.kafka.tools.AclCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-reassign-partitions': 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand',
  'kafka-transactions': 'org.apache.kafka.tools.TransactionsCommand',
  'kafka-dump-log': 'org.apache.kafka.tools.DumpLogSegments',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'producer-perf': 'org.apache.kafka.tools.ProducerPerformance',
  'consumer-perf': 'org.apache.kafka.tools.ConsumerPerformance',
  'mirror-maker': 'org.apache.kafka.connect.mirror.MirrorMaker',
}
/** Where Kafka 3 has them. */
const TOOLS_3: Readonly<Record<string, string>> = {
  ...TOOLS,
  'kafka-acls': 'kafka.admin.AclCommand',
  'kafka-dump-log': 'kafka.tools.DumpLogSegments',
  'kafka-console-producer': 'kafka.tools.ConsoleProducer',
}

/** Whether a tool must be told where the cluster is, and was not. */
export const asks = (name: string, args: readonly string[]) =>
  name.startsWith('kafka-') && name !== 'kafka-dump-log' && !args.includes('--bootstrap-server')

/** Runs a tool of a cluster's version: see `Kafka.tool`. */
export async function runTool(cluster: Cluster, name: string, args: readonly string[], opt: ToolOptions): Promise<Ran> {
  const tools = cluster.version.startsWith('3.') ? TOOLS_3 : TOOLS
  const main = tools[name] ?? name
  if (!main.includes('.')) throw new RangeError(`no tool ${name}: ${Object.keys(tools).join(', ')}, or a class`)
  const folder = await mkdtemp(join(cluster.directory, 'tool-'))
  const input = join(folder, 'input')
  if (opt.input !== undefined) await writeFile(input, opt.input)
  const command = jvm(cluster, 'tool', main, args)
  const child = guarded(command, { folder, ...(opt.input !== undefined && { input }) })
  const end = () => child.stdin!.end()
  opt.signal?.addEventListener('abort', end)
  if (opt.signal?.aborted) end()
  ;(child.stdio[3] as Readable).resume()
  const { heard } = opt
  if (heard) for (const stream of [child.stdout!, child.stderr!]) stream.on('data', chunk => heard(String(chunk)))
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')])
  opt.signal?.removeEventListener('abort', end)
  await rm(folder, { recursive: true, force: true })
  return { stdout, stderr, code: opt.signal?.aborted ? null : child.exitCode }
}
