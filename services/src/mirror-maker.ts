import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Guarded } from './guarded.js'
import { installKafka, java, type KafkaVersion, logging, USUAL } from './kafka-install.js'
import { lines } from './kafka-node.js'

/** A MirrorMaker 2 that runs: one Java process. */
export interface MirrorMaker {
  readonly pid: number
  /** The last lines that it wrote. */
  readonly log: string
  stop(): Promise<void>
}

/**
 * Apache Kafka's own mirror, from cluster A to cluster B: topics `t` of A arrive as `A.t`.
 * @param settings beside or instead of ours, as its properties file has them
 * @param jvm options of the Java process
 */
export async function startMirrorMaker(
  from: readonly string[],
  to: readonly string[],
  topic: string,
  settings: Readonly<Record<string, string | number>> = {},
  jvm: readonly string[] = ['-Xmx1g', '-XX:+UseParallelGC'],
  version: KafkaVersion = USUAL,
): Promise<MirrorMaker> {
  const folder = await mkdtemp(join(tmpdir(), 'fnaad-mirror-'))
  const file = join(folder, 'mirror.properties')
  const own = {
    clusters: 'A,B',
    'A.bootstrap.servers': from.join(','),
    'B.bootstrap.servers': to.join(','),
    'A->B.enabled': 'true',
    'A->B.topics': topic,
    'B->A.enabled': 'false',
    'replication.factor': 1,
    'checkpoints.topic.replication.factor': 1,
    'heartbeats.topic.replication.factor': 1,
    'offset-syncs.topic.replication.factor': 1,
    'offset.storage.replication.factor': 1,
    'status.storage.replication.factor': 1,
    'config.storage.replication.factor': 1,
    'sync.topic.acls.enabled': 'false',
  }
  await writeFile(file, lines({ ...own, ...settings }))
  const main = 'org.apache.kafka.connect.mirror.MirrorMaker'
  const command = [java(), ...jvm, logging(version), '-cp', `${installKafka(version)}/*`, main, file]
  const process = await Guarded.start(command, { folder })
  return {
    pid: process.pid,
    get log() {
      return process.log
    },
    async stop() {
      process.signal('SIGKILL')
      await process.ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}
