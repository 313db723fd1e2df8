import { createHash } from 'node:crypto'

/** A topic's name has at most so many characters; a domain name may have a few more. */
const LONGEST = 249
const KEPT = 180

/**
 * A flow's topic: its own name. Names have no underscore, so that no two topics of ours meet in the names of Kafka's metrics,
 * where dots become underscores. A name that is too long ends in its hash behind two dots, which no flow's name has.
 */
export function topicOf(flow: string): string {
  if (flow.length <= LONGEST) return flow
  return `${flow.slice(0, KEPT)}..${createHash('sha256').update(flow).digest('hex')}`
}
