/**
 * What an option of a command means, by its keyword in the protocol; where a verb means something of its own by it, by both.
 * A test holds it to the table of verbs.
 */
export const OPTION_HELP: ReadonlyMap<string, string> = new Map([
  ['ACCEPT', 'types of endpoint that can be read'],
  ['AFTER', 'only what is sorted behind this first value'],
  ['AGENT', 'host of the agent that the namespace gets'],
  ['ALL', 'also what is over'],
  ['GET SUBSCRIPTIONS ALL', 'of all users (administrators)'],
  ['AS', 'a name for these credentials, to have several'],
  ['BLOCKED', 'yes cuts the domain off and refuses its logins; no lets it in again'],
  ['BROKER', 'where the queue is; see fnua get brokers'],
  ['CREATE NAMESPACE BROKER', 'where queues of new flows are'],
  ['UPDATE NAMESPACE BROKER', 'where queues of new flows are'],
  ['CODECS', 'compressions that the reader knows'],
  ['CONTACT', 'whom to ask about it; "" clears it'],
  ['DESCRIPTION', 'what it is, in a sentence; "" clears it'],
  ['EPOCH', "the run's number: a lower one is refused"],
  ['EXPIRES', 'when the grant ends, as 2030-01-31T12:00:00Z'],
  ['FILTER', 'only events that this expression fits; not every agent has it'],
  ['FOLLOW', 'go on with new events until Ctrl-C or --max'],
  ['FOR', 'the user on whose behalf an agent asks'],
  ['FORMAT', 'json: lines; batch: record batches, frames as JSON'],
  ['SUBSCRIBE FORMAT', 'how the agreement is written'],
  ['PUBLISH FORMAT', 'how the agreement is written'],
  ['FROM', 'where to begin: latest, earliest, a time, or 10m (ago)'],
  ['READ FLOW FROM', 'where to begin: earliest, latest (as --follow does), a time, 10m (ago), cursor:NAME'],
  ['FULL', 'also owner, visibility, retention and what else is known'],
  ['GEN', "the agreement's generation"],
  ['ID', "the subscription's id"],
  ['KEY', 'the key of all events: same key, same order'],
  ['LIMIT', 'the rate, as bytes=1M,events=100 a second, or none'],
  ['LOCAL', 'your flow that gets the events, made where it is absent'],
  ['MAX', 'at most so many'],
  ['READ FLOW MAX', 'end after so many events'],
  ['MINE', 'those that you own'],
  ['MODE', 'copy: a queue of its own; direct: the queue itself; fnap: by way of the agent; auto: what fits'],
  ['NAMESERVER', "address:port of a name server of the new zone, where that is not its agent's host"],
  ['ON', 'of what: flow/NAME or namespace/NAME'],
  ['ONDELETE', 'what becomes of the queue with the flow: deleted, or retained'],
  ['OWNER', 'the user to whom it belongs from now on'],
  ['PRINCIPAL', "who reads, in the broker's own terms"],
  ['QUOTA', 'bounds, as flows=100,subscribers=20'],
  ['UPDATE PEER QUOTA', 'subscriptions that the domain may have here, as subscriptions=50'],
  ['REASON', 'shown to the owner who decides'],
  ['REMOVE SUBSCRIBER REASON', 'told to who is removed'],
  ['DENY REASON', 'told to who asked'],
  ['REQUESTS', 'yes: who may not subscribe may ask, and the owner decides'],
  ['RETENTION', 'how long events are kept, as 7d'],
  ['RETENTIONBYTES', 'how much of them is kept, as 10G'],
  ['RIGHTS', 'what is granted, of describe, read, write, subscribe, manage, with commas'],
  ['ROTATE', 'make a new password'],
  ['RULE', 'what is emitted, as an expression over the sources'],
  ['SCHEMA', 'link to the schema of its events; "" clears it'],
  ['SHARDS', 'parts that are ordered each for itself; only grows'],
  ['SHARED', 'those that a grant gives you'],
  ['SUBSCRIBED', 'those that a subscription of yours feeds'],
  ['TAGS', 'words to find it by, with commas; "" clears them'],
  ['TITLE', 'its name for people; "" clears it'],
  ['TO', 'flows that it writes from now on'],
  ['TOPIC', 'adopt this queue, which is there already (administrators)'],
  ['TRUST', 'believe the domain again after all its keys changed'],
  ['VISIBILITY', 'what everyone may do: read and subscribe (public), know of it (listed), nothing (private)'],
])
/** Values that a keyword of the command is followed by, as `--to`. */
const BEHIND: ReadonlyMap<string, string> = new Map([
  ['GRANT to', 'who gets the rights: user@domain, *@domain, domain, anonymous or *'],
  ['REVOKE from', 'who loses the rights, as they were granted'],
  ['on', 'of what: flow/NAME or namespace/NAME'],
  ['to', 'the flow that gets the events'],
])

/** @throws TypeError for an option without a description: a test finds it first */
export const optionHelp = (verb: string, keyword: string): string => found(OPTION_HELP, verb, keyword)
export const keywordHelp = (verb: string, flag: string): string =>
  `${found(BEHIND, verb, flag)} (or behind the word ${flag})`

function found(map: ReadonlyMap<string, string>, verb: string, key: string): string {
  const text = map.get(`${verb} ${key}`) ?? map.get(key)
  if (text === undefined) throw new TypeError(`no description of ${key} of ${verb}`)
  return text
}
