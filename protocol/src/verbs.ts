import type { When } from './states.js'
import { type Form, form } from './verb-forms.js'

/** A command of FNAP/1, as HELP, the CLI and the documentation know it. */
export interface Verb {
  /** Its words in canonical form: `CREATE FLOW`, `GET PROCESSOR TYPES`. */
  readonly id: string
  readonly when: When
  /** The rights that it needs, in words. */
  readonly needs: string
  readonly summary: string
  readonly forms: readonly Form[]
  /** One line a form. */
  readonly usage: readonly string[]
}

type Usage = string | { readonly user?: string; readonly agent?: string }

function verb(id: string, needs: string, summary: string, usage: Usage = '', when: When = 'after'): Verb {
  const forms: Form[] = []
  if (typeof usage === 'string') forms.push(form(id, 'any', usage))
  else {
    if (usage.user !== undefined) forms.push(form(id, 'user', usage.user))
    if (usage.agent !== undefined) forms.push(form(id, 'agent', usage.agent))
  }
  return Object.freeze({ id, when, needs, summary, forms, usage: forms.map(f => f.usage) })
}

const MODE = '[MODE auto|copy|direct|fnap]'
const BY_AGENT = `flow ID id GEN n ACCEPT list [FROM from] ${MODE} [PRINCIPAL text] [FILTER text] [REASON text] [FOR user@domain] [ROTATE] [FORMAT TEXT|JSON]`
const FLOW =
  '[SHARDS n] [RETENTION duration] [RETENTIONBYTES size] [VISIBILITY public|listed|private] [REQUESTS bool] [ONDELETE delete|retain]'
const QUOTA = '[QUOTA flows=n,subscribers=n]'
const SHOW = '[FORMAT TEXT|JSON]'
const MOVE = '[FROM from] [FILTER text]'
const OWN_OR_LOCAL = 'own, or manage on the local flow'
const OWN = 'own'
const LOGIN = 'login'
const ADMIN = 'administrator'

/** Every command of FNAP/1. The source of HELP, of the CLI's and the console's coverage, and of the documentation. */
export const VERBS: readonly Verb[] = Object.freeze([
  // Session
  verb('STARTTLS', '–', 'Begins TLS; a new session begins inside it', '', 'before'),
  verb('AUTHENTICATE', '–', 'Logs in with a SASL mechanism', 'mech [initial]', 'before'),
  verb('CAPABILITIES', '–', 'Says what this agent can do', '', 'any'),
  verb('HELP', '–', 'Shows how commands are written', '[verb..]', 'any'),
  verb('NOOP', '–', 'Does nothing', '', 'any'),
  verb('QUIT', '–', 'Ends the session', '', 'any'),
  verb('FNAPKEY', '–', "Shows the key of one of this agent's domains", 'selector domain', 'any'),
  verb('WHOAMI', LOGIN, 'Shows who is logged in'),
  // Namespaces
  verb(
    'CREATE NAMESPACE',
    'manage on the parent, or administrator',
    'Creates a namespace',
    `ns [BROKER b] [AGENT host] [NAMESERVER address] ${QUOTA} [ABOUT]`,
  ),
  verb('UPDATE NAMESPACE', 'manage', 'Changes a namespace', `ns [BROKER b] [OWNER who] ${QUOTA} [ABOUT]`),
  verb('DELETE NAMESPACE', 'manage on the parent, or administrator', 'Deletes an empty namespace', 'ns'),
  verb('GET NAMESPACES', 'describe', 'Lists namespaces', '[parent] [PAGE]'),
  verb('DESCRIBE NAMESPACE', 'describe', 'Shows a namespace', `ns ${SHOW}`),
  // Flows
  verb(
    'CREATE FLOW',
    'manage on the namespace',
    'Creates a flow, its queue and its names',
    `flow [BROKER b] [TOPIC t] ${FLOW} [ABOUT]`,
  ),
  verb('UPDATE FLOW', 'manage', 'Changes a flow', `flow ${FLOW} [OWNER who] [ABOUT]`),
  verb('DELETE FLOW', 'manage', 'Deletes a flow and cuts all its subscribers', 'flow'),
  verb(
    'GET FLOWS',
    '–',
    'Lists the flows that the caller may see',
    '[ns] [MINE|SHARED|SUBSCRIBED] [FOR user@domain] [PAGE]',
  ),
  verb(
    'DESCRIBE FLOW',
    'describe; of an endpoint: its subscriber',
    'Shows where the events of a flow are',
    `flow|endpoint [FULL] [FOR user@domain] ${SHOW}`,
  ),
  verb(
    'READ FLOW',
    'read',
    'Reads events',
    'flow|endpoint [FROM from] [MAX n] [FOLLOW] [FORMAT JSON|BATCH] [CODECS list] [EPOCH n]',
  ),
  verb('WRITE FLOW', 'write', 'Writes events', 'flow [KEY text] [FORMAT JSON|BATCH]'),
  verb(
    'ACCESS FLOW',
    'read or write',
    'Shows the way in at the broker, with own credentials',
    'flow READ|WRITE [AS label] [ROTATE]',
  ),
  verb('GET ACCESS', 'own; of a flow: manage', 'Lists credentials at brokers', '[flow] [PAGE]'),
  verb('REMOVE ACCESS', OWN, 'Removes own credentials at a broker', 'flow label'),
  // Subscriptions
  verb('SUBSCRIBE', 'subscribe at the owner, write on the local flow', 'Subscribes to a flow', {
    user: `flow [LOCAL local] [FROM from] ${MODE} [REASON text] [FILTER text]`,
    agent: BY_AGENT,
  }),
  verb('PUBLISH', 'read on the local flow, write at the owner', 'Publishes a local flow to a flow of others', {
    user: `local TO flow [FROM from] ${MODE} [FILTER text] [REASON text]`,
    agent: BY_AGENT,
  }),
  verb('UNSUBSCRIBE', OWN_OR_LOCAL, 'Ends a subscription; the local flow and its events stay', {
    user: 'id|local|flow',
    agent: 'flow ID id GEN n',
  }),
  verb('PAUSE SUBSCRIPTION', OWN_OR_LOCAL, 'Stops moving events, keeps processor and position', 'id'),
  verb('RESUME SUBSCRIPTION', OWN_OR_LOCAL, 'Moves events again', { user: 'id', agent: 'id GEN n' }),
  verb('STOP SUBSCRIPTION', OWN_OR_LOCAL, 'Tears the processor down, keeps subscription and position', {
    user: 'id',
    agent: 'id GEN n',
  }),
  verb('PAUSE FLOW', OWN_OR_LOCAL, 'PAUSE SUBSCRIPTION, by the local flow', 'local'),
  verb('RESUME FLOW', OWN_OR_LOCAL, 'RESUME SUBSCRIPTION, by the local flow', 'local'),
  verb('STOP FLOW', OWN_OR_LOCAL, 'STOP SUBSCRIPTION, by the local flow', 'local'),
  verb('UPDATE SUBSCRIPTION', OWN, 'Changes a subscription', `id [FILTER text] ${MODE} [ROTATE]`),
  verb('GET SUBSCRIPTIONS', 'own; ALL: administrator', 'Lists what the caller subscribed to', '[ALL] [PAGE]'),
  verb('DESCRIBE SUBSCRIPTION', OWN, 'Shows a subscription', `id ${SHOW}`),
  verb('GET SUBSCRIBERS', 'manage', 'Lists who subscribed to a flow', 'flow [ALL] [PAGE]'),
  verb('UPDATE SUBSCRIBER', 'manage', 'Limits a subscriber', 'flow who|id LIMIT limit'),
  verb('REMOVE SUBSCRIBER', 'manage', 'Cuts a subscriber off', 'flow who|id [REASON text]'),
  verb('NOTIFY', 'domain login', 'Hints that a subscription has changed', { agent: 'id' }),
  // Grants
  verb('GRANT', 'manage', 'Gives rights', 'rights ON NAMESPACE|FLOW name TO who [EXPIRES time] [LIMIT limit]'),
  verb('REVOKE', 'manage', 'Takes rights away, and cuts what stood on them', 'rights ON NAMESPACE|FLOW name FROM who'),
  verb('GET GRANTS', "manage; without ON: the caller's own", 'Lists grants', '[ON NAMESPACE|FLOW name] [PAGE]'),
  verb('GET REQUESTS', 'manage', 'Lists who asks to subscribe', '[flow] [PAGE]'),
  verb('APPROVE', 'manage', 'Grants what a request asks for', 'id [RIGHTS rights] [EXPIRES time] [LIMIT limit]'),
  verb('DENY', 'manage', 'Refuses a request', 'id [REASON text]'),
  // Peers
  verb('GET PEERS', ADMIN, 'Lists the domains that this agent has met', '[PAGE]'),
  verb('DESCRIBE PEER', ADMIN, 'Shows a domain that this agent has met', `domain ${SHOW}`),
  verb(
    'UPDATE PEER',
    ADMIN,
    'Blocks, trusts or limits a domain',
    'domain [BLOCKED bool] [TRUST yes] [QUOTA subscriptions=n]',
  ),
  // Processors
  verb('REPLICATE', 'read on the source, write on the sink', 'Copies one flow to one flow', `src dst ${MOVE}`),
  verb('COLLECT', 'read on the sources, write on the sink', 'Copies several flows to one', `src.. TO dst ${MOVE}`),
  verb('DISTRIBUTE', 'read on the source, write on the sinks', 'Copies one flow to several', `src TO dst.. ${MOVE}`),
  verb(
    'SIGNAL',
    'read on the sources, write on the sinks',
    'Emits events to flows by a rule over flows',
    `src.. TO dst.. RULE text ${MOVE}`,
  ),
  verb('PAUSE PROCESSOR', OWN, 'Stops moving events, keeps the processor', 'id'),
  verb('RESUME PROCESSOR', OWN, 'Moves events again', 'id'),
  verb('STOP PROCESSOR', OWN, 'Tears a processor down, keeps its position', 'id'),
  verb('UPDATE PROCESSOR', OWN, 'Changes a processor', 'id [FILTER text] [RULE text] [TO dst..]'),
  verb('DELETE PROCESSOR', OWN, 'Deletes a processor', 'id'),
  verb('GET PROCESSORS', OWN, 'Lists processors', '[PAGE]'),
  verb('DESCRIBE PROCESSOR', OWN, 'Shows a processor', `id|endpoint ${SHOW}`),
  verb('GET PROCESSOR TYPES', LOGIN, 'Lists the types of processors that can run here', '[PAGE]'),
  // What the agent runs on
  verb('GET BROKERS', LOGIN, 'Lists brokers', '[PAGE]'),
  verb('GET AGENTS', LOGIN, 'Lists agents', '[PAGE]'),
  verb('GET NAMESERVERS', LOGIN, 'Lists name servers', '[PAGE]'),
  verb('DESCRIBE BROKER', 'manage on some namespace', 'Shows a broker', `b ${SHOW}`),
  verb('DESCRIBE AGENT', 'manage on some namespace', 'Shows the agent of a namespace', `ns|host ${SHOW}`),
  verb('DESCRIBE NAMESERVER', 'manage on some namespace', 'Shows a name server', `nameserver ${SHOW}`),
])

/** Synonyms of verbs and nouns, and the singular of each noun: what `findVerb` folds a word to. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['DESC', 'DESCRIBE'],
  ['NS', 'NAMESPACE'],
  ['FL', 'FLOW'],
  ...['NAMESPACE', 'FLOW', 'SUBSCRIPTION', 'SUBSCRIBER', 'GRANT', 'REQUEST', 'PEER', 'PROCESSOR', 'TYPE', 'BROKER'].map(
    (noun): [string, string] => [`${noun}S`, noun],
  ),
  ['AGENTS', 'AGENT'],
  ['NAMESERVERS', 'NAMESERVER'],
])

/** A word of a command's name in upper case, synonyms and plurals folded. */
export function foldWord(word: string): string {
  const upper = word.toUpperCase()
  return SYNONYMS.get(upper) ?? upper
}

const foldPhrase = (id: string): string => id.split(' ').map(foldWord).join(' ')
const byPhrase: ReadonlyMap<string, Verb> = new Map(VERBS.map(v => [foldPhrase(v.id), v]))
const byId: ReadonlyMap<string, Verb> = new Map(VERBS.map(v => [v.id, v]))
const firstWords: ReadonlySet<string> = new Set(VERBS.map(v => v.id.split(' ')[0]!))

/** The verb of an id in canonical form. */
export const verbOf = (id: string): Verb | undefined => byId.get(id)

/** Does a command begin with this word? */
export const isFirstWord = (word: string): boolean => firstWords.has(foldWord(word))

/** The verb that words begin with (the longest that fits), and how many of them are its name. */
export function findVerb(words: readonly string[]): { readonly verb: Verb; readonly length: number } | null {
  const folded = words.slice(0, 3).map(foldWord)
  for (let length = folded.length; length > 0; length--) {
    const verb = byPhrase.get(length === 1 ? folded[0]! : folded.slice(0, length).join(' '))
    if (verb) return { verb, length }
  }
  return null
}
