import { hasCode, ReplyError } from '@fnaa/client'
import { isFnapError } from '@fnaa/protocol'

/** Exit codes of fnua: `fnua help exit-codes` and README.md say the same. */
export const EXIT = Object.freeze({
  ok: 0,
  failed: 1,
  usage: 2,
  conflict: 3,
  authentication: 4,
  notFound: 5,
  temporary: 6,
  unreachable: 7,
  interrupted: 130,
})

/** An error in words for a person, with its exit code and the next command to try. */
export class CliError extends Error {
  readonly exit: number
  /** A command, or a few words, behind `try:`. */
  readonly hint?: string
  /** Code and symbol of the agent's reply: `409 EXISTS`. */
  readonly reply?: string
  constructor(message: string, exit: number, more: { hint?: string; reply?: string; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause })
    this.name = 'CliError'
    this.exit = exit
    if (more.hint !== undefined) this.hint = more.hint
    if (more.reply !== undefined) this.reply = more.reply
  }
}

/** The user's own mistake. @param verb the command that was meant: help for it is the hint */
export function usage(message: string, verb?: string): CliError {
  return new CliError(message, EXIT.usage, { hint: verb === undefined ? 'fnua help' : helpFor(verb) })
}

function helpFor(verb: string): string {
  const words = verb.split(' ').filter((word, at) => at < 2 && /^[A-Z]+$/.test(word))
  return `fnua help ${words.join(' ').toLowerCase()}`.trim()
}

/** Reading was ended by Ctrl-C. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted')
    this.name = 'Interrupted'
  }
}
/** Whoever read our standard output has gone: nothing more to do, and nothing wrong. */
export class OutputClosed extends Error {
  constructor() {
    super('standard output was closed')
    this.name = 'OutputClosed'
  }
}

const BY_SYMBOL: ReadonlyMap<string, number> = new Map([
  ['BADEVENT', EXIT.failed],
  ['CANCELLED', EXIT.failed],
  ['UNKNOWNCOMMAND', EXIT.failed],
  ['UNKNOWNMECHANISM', EXIT.authentication],
  ['CLOSING', EXIT.temporary],
  ['MOVED', EXIT.failed],
])

/** The exit code of an error reply. */
export function exitOfReply(code: number, symbol: string | undefined): number {
  const known = BY_SYMBOL.get(symbol ?? '')
  if (known !== undefined) return known
  if (code === 400) return EXIT.usage
  if (code === 401 || code === 403) return EXIT.authentication
  if (code === 404 || code === 410) return EXIT.notFound
  if (code === 409) return EXIT.conflict
  if (code === 429 || code === 500 || (code >= 502 && code <= 504)) return EXIT.temporary
  return EXIT.failed
}

/** What is known where an error came from: it makes the hint. */
export interface Whereabouts {
  /** The id of the verb that was sent. */
  readonly verb?: string
  /** The flow or namespace of the command. */
  readonly name?: string
  /** What a grant is on: `flow/NAME`. */
  readonly on?: string
  /** The name is of another organisation than the agent's: set, with the namespace of the agent's where it is known. */
  readonly foreign?: { readonly namespace?: string }
  /** The agent's namespaces, where the name lies in none of them. */
  readonly namespaces?: readonly string[]
  /** The subscription that a reply names. */
  readonly id?: string
  /** How the agent is chosen on the command line: ` --agent fnaa-unix`. */
  readonly agent?: string
}

/** Any error as a CliError. What is none of ours is a fault of the program and keeps its stack as cause. */
export function toCliError(e: unknown, at: Whereabouts = {}): CliError {
  if (e instanceof CliError) return e
  if (e instanceof ReplyError) return ofReply(e, at)
  if (isFnapError(e)) return usage(e.sentence, at.verb)
  for (const code of ['FNA_ERR_UNAVAILABLE', 'FNA_ERR_TIMEOUT', 'FNA_ERR_ADDRESS'] as const) {
    if (hasCode(e, code)) return new CliError((e as Error).message, EXIT.unreachable, { hint: debugHint(at), cause: e })
  }
  if (hasCode(e, 'FNA_ERR_NOTFOUND'))
    return new CliError((e as Error).message, EXIT.unreachable, { hint: debugHint(at), cause: e })
  if (hasCode(e, 'FNA_ERR_DENIED')) return new CliError((e as Error).message, EXIT.authentication, { cause: e })
  const known = typeof (e as { code?: unknown } | null)?.code === 'string'
  return new CliError(e instanceof Error ? e.message : String(e), EXIT.failed, known ? {} : { cause: e })
}

const debugHint = (at: Whereabouts): string => `the same command with -d, which shows every step${at.agent ?? ''}`

function ofReply(e: ReplyError, at: Whereabouts): CliError {
  const { code, symbol, text, address, retryAfter } = e.reply
  const reply = symbol ? `${code} ${symbol}` : String(code)
  const exit = exitOfReply(code, symbol)
  if (address) {
    const message = `this is now at ${address.host}:${address.port}; fnua does not log in where it is sent`
    return new CliError(message, exit, {
      reply,
      hint: `fnua --agent ${address.host}:${address.port} …, if you trust it`,
    })
  }
  const sentence = retryAfter === undefined ? text : text.replace(/^\d+ +/, '')
  // 504 TIMEOUT of a subscription begins with its id.
  const id = symbol === 'TIMEOUT' && at.verb === 'SUBSCRIBE' ? /^[a-z2-7]{26}(?= )/.exec(text)?.[0] : undefined
  const hint = hintFor(symbol, id === undefined ? at : { ...at, id }, retryAfter)
  return new CliError(sentence || 'the agent refused', exit, {
    reply,
    ...(hint === undefined ? {} : { hint }),
    cause: e,
  })
}

function hintFor(symbol: string | undefined, at: Whereabouts, retryAfter: number | undefined): string | undefined {
  const agent = at.agent ?? ''
  const noun = at.verb?.endsWith('NAMESPACE') ? 'namespace' : 'flow'
  if (retryAfter !== undefined) return `again in ${retryAfter} s`
  switch (symbol) {
    case 'AUTHREQUIRED':
    case 'AUTHFAILED':
      return `fnua${agent} login`
    case 'DENIED':
      return at.verb === 'SUBSCRIBE' ? `fnua${agent} whoami, and ask the owner for a grant` : `fnua${agent} whoami`
    case 'EXISTS':
      return at.name === undefined ? undefined : `fnua${agent} describe ${noun} ${at.name}`
    case 'NOTEMPTY':
      return `fnua${agent} get flows ${at.name ?? ''}`.trim()
    case 'NOTFOUND':
      return nowhereFor(at, agent) ?? foreignFor(at, agent) ?? listFor(at, agent)
    case 'AMBIGUOUS':
      return `fnua${agent} get subscriptions`
    case 'UNKNOWNCOMMAND':
    case 'NOTSUPPORTED':
      return `fnua${agent} capabilities`
    case 'SYNTAX':
    case 'BADVALUE':
    case 'BADNAME':
      return helpFor(at.verb ?? '')
    case 'TIMEOUT':
      return at.id === undefined
        ? 'the same command again: it joins the work, which goes on'
        : `fnua${agent} describe subscription ${at.id}, or the same command again: it joins the work, which goes on; fnua${agent} unsubscribe ${at.id} gives it up`
    case 'BUSY':
    case 'CLOSING':
    case 'INTERNAL':
    case 'QUOTA':
    case 'RATE':
    case 'REMOTE':
    case 'UNAVAILABLE':
      return 'the same command again, in a while'
    default:
      return undefined
  }
}

/** A name that lies in no namespace of the agent: in one that there is, or in one that is made for it. */
function nowhereFor(at: Whereabouts, agent: string): string | undefined {
  if (!at.namespaces || at.name === undefined) return undefined
  const parent = at.name.slice(at.name.indexOf('.') + 1)
  const there = at.namespaces.length === 0 ? '' : `a name in ${at.namespaces.join(' or ')}, or `
  return `${there}fnua${agent} create namespace ${parent}`
}

/** A stranger's flow is read by way of a local one. */
function foreignFor(at: Whereabouts, agent: string): string | undefined {
  if (!at.foreign || at.name === undefined) return undefined
  if (at.verb !== 'READ FLOW') return undefined
  const local =
    at.foreign.namespace === undefined
      ? ''
      : ` --local ${at.name.slice(0, at.name.indexOf('.'))}.${at.foreign.namespace}`
  return `subscribe first: fnua${agent} subscribe ${at.name}${local}`
}

function listFor({ verb, name, on }: Whereabouts, agent: string): string {
  if (verb?.endsWith(' SUBSCRIBER'))
    return `fnua${agent} get subscribers ${name ?? ''} --all, or fnua${agent} get flows`
  const noun = /(NAMESPACE|SUBSCRIPTION|PROCESSOR|PEER|BROKER|AGENT|NAMESERVER)$/.exec(verb ?? '')?.[1]?.toLowerCase()
  if (verb === 'UNSUBSCRIBE') return `fnua${agent} get subscriptions`
  if (verb === 'APPROVE' || verb === 'DENY') return `fnua${agent} get requests`
  if (verb === 'REVOKE') return `fnua${agent} get grants${on === undefined ? '' : ` --on ${on}`}`
  return `fnua${agent} get ${noun ?? 'flow'}s`
}
