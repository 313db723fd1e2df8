import type { Call } from '@fnaa/core/plugin'
import { describeConsumerGroups, expectOk, offsetFetch, type TopicInfo } from '@fnaa/kafka-wire'
import { writtenAt } from '../peek.js'
import { type Offsets, offsetsAt } from '../places.js'
import { readerOf } from '../topic.js'
import type { Clients } from './clients.js'
import { kafkaName, mapped } from './errors.js'
import { need } from './topics.js'

export interface Consumer {
  readonly name: string
  readonly lag?: number
  readonly behindMs?: number
}

/** Groups that are asked after at once. */
const AT_ONCE = 16
/** Milliseconds. */
const PATIENCE = 5_000

/**
 * Who reads a topic: groups that have committed something of it, and groups with a member that has subscribed to it. Lag counts
 * as Kafka's own tools do: from what is committed to the end, partitions without a commit left out.
 */
export async function consumers(k: Clients, topic: string, now: number, c: Call): Promise<Consumer[]> {
  const info = await need(k.wire, topic, c)
  const ask = async () => {
    try {
      return await look(k, info, now, c)
    } catch (e) {
      throw mapped(e, `the consumers of topic ${topic} cannot be listed`)
    }
  }
  // The first group of a cluster makes a topic, and coordinators move: that passes.
  return k.wire.retry(ask, c, PATIENCE)
}

async function look(k: Clients, info: TopicInfo, now: number, c: Call): Promise<Consumer[]> {
  const topic = info.name
  const { groups } = await (await k.admin()).listGroups()
  const names = groups.map(g => g.groupId).filter(name => readerOf(name) !== null)
  const ends = await offsetsAt({ cluster: k.wire, topic }, 'latest', c)
  const committed = new Map<string, Offsets>()
  await inTurns(names, async name => {
    const offsets = await commits(k, name, info, c)
    if (offsets.size > 0) committed.set(name, offsets)
  })
  const others = await subscribed(
    k,
    names.filter(name => !committed.has(name)),
    topic,
    c,
  )
  const ages = new Map<string, Promise<number | undefined>>()
  const reading = [...committed].map(async ([name, offsets]) => {
    const waiting = [...offsets].filter(([p, offset]) => offset < (ends.get(p) ?? 0))
    const lag = waiting.reduce((n, [p, offset]) => n + ends.get(p)! - offset, 0)
    const written = await Promise.all(waiting.map(([p, offset]) => remembered(ages, k, info, p, offset, c)))
    const oldest = Math.min(...written.map(t => t ?? Number.POSITIVE_INFINITY))
    const behindMs = lag === 0 ? 0 : Number.isFinite(oldest) ? Math.max(0, now - oldest) : undefined
    return { name: readerOf(name)!, lag, ...(behindMs !== undefined && { behindMs }) }
  })
  return [...(await Promise.all(reading)), ...others.map(name => ({ name }))].sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Empty where it has committed nothing of the topic, or we may not see it. */
async function commits(k: Clients, group: string, info: TopicInfo, c: Call): Promise<Offsets> {
  try {
    return await k.wire.retry(async () => {
      const coordinator = await k.wire.coordinator(group, 'group', c)
      const parts = info.partitions.map(({ partition }) => ({ topic: info.name, partition }))
      const answer = await coordinator.request(offsetFetch, { group, parts })
      expectOk(answer.error, `group ${group}`)
      return new Map(answer.parts.filter(p => p.error === 0 && p.offset >= 0).map(p => [p.partition, p.offset]))
    }, c)
  } catch (e) {
    if (hidden(e)) return new Map()
    throw e
  }
}

const HIDDEN = new Set(['GROUP_AUTHORIZATION_FAILED', 'GROUP_ID_NOT_FOUND', 'TOPIC_AUTHORIZATION_FAILED'])
const hidden = (e: unknown) => HIDDEN.has(kafkaName(e) ?? '')

/** Groups with a member that reads the topic without having committed yet. */
async function subscribed(k: Clients, groups: readonly string[], topic: string, c: Call): Promise<string[]> {
  const found: string[] = []
  const { AssignerProtocol } = await import('kafkajs').then(m => m.default)
  await inTurns(groups, async name => {
    try {
      const [group] = (await (await k.admin()).describeGroups([name])).groups
      // To who asks in the old way, a group of the new protocol (KIP-848) is dead.
      const topics =
        !group || group.state === 'Dead'
          ? await topicsOfNew(k, name, c)
          : group.members.flatMap(m => AssignerProtocol.MemberMetadata.decode(m.memberMetadata)?.topics ?? [])
      if (topics.includes(topic)) found.push(name)
    } catch (e) {
      if (!hidden(e)) throw e
    }
  })
  return found
}

async function topicsOfNew(k: Clients, group: string, c: Call): Promise<string[]> {
  const coordinator = await k.wire.coordinator(group, 'group', c)
  if (!coordinator.knows(describeConsumerGroups as never)) return []
  const [found] = await coordinator.request(describeConsumerGroups, { groups: [group] })
  return found && found.error === 0 ? found.members.flatMap(m => m.topics) : []
}

/** Many readers wait at the same place: it is looked at once. */
function remembered(
  ages: Map<string, Promise<number | undefined>>,
  k: Clients,
  info: TopicInfo,
  partition: number,
  offset: number,
  c: Call,
): Promise<number | undefined> {
  const key = `${partition} ${offset}`
  const known =
    ages.get(key) ?? writtenAt({ cluster: k.wire, topic: info.name }, partition, offset, c).catch(() => undefined)
  ages.set(key, known)
  return known
}
