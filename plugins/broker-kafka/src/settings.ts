import { type Call, isFna } from '@fnaa/core/plugin'
import { describeTopicConfigs } from '@fnaa/kafka-wire'
import type { Topic } from './topic.js'

/** Named settings of a topic. Null where they may not be asked for: without the right to, or of a cluster that does not know the question. */
export async function settingsOf(
  { cluster, topic }: Topic,
  names: readonly string[],
  c: Call,
): Promise<ReadonlyMap<string, string | null> | null> {
  try {
    const connection = await cluster.any(c)
    const { error, values } = await connection.request(describeTopicConfigs, { topic, names })
    return error === 0 ? values : null
  } catch (e) {
    if (isFna(e, 'FNA_ERR_UNSUPPORTED')) return null
    throw e
  }
}
