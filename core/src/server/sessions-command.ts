import { parseEndpointName, parseName } from '@fnaa/protocol'
import type { AdminCommand } from '../contract/auth.js'
import { FnaError } from '../contract/errors.js'
import type { Kernel } from '../kernel.js'
import { iso } from '../resources/clock.js'
import type { Session } from './session.js'

export const SESSIONS = {
  name: 'sessions',
  usage: 'sessions [FLOW]',
  summary: 'list who is logged in and what each reads or writes, now; with FLOW those of that flow',
} as const
const HEADER = ['ID', 'USER', 'ADDRESS', 'COMMAND', 'FLOW', 'SINCE']

/** `fnaad sessions`: only the running agent knows. */
export function sessionsCommand(k: Kernel): AdminCommand {
  return {
    ...SESSIONS,
    async run(args) {
      const flow = args[0] === undefined ? undefined : flowOf(args[0])
      if (args.length > 1) throw new FnaError('FNA_ERR_INVALID', `usage: ${SESSIONS.usage}`)
      const found = [...k.sessions].filter(s => flow === undefined || about(k.sessions.use(s)?.flow, flow))
      return aligned([HEADER, ...found.sort((a, b) => a.id - b.id).map(s => row(k, s))])
    },
  }
}

function flowOf(text: string): string {
  try {
    return parseName(text)
  } catch {
    throw new FnaError('FNA_ERR_INVALID', `${text} is no name of a flow, such as time.flows.example.org`)
  }
}

/** A flow's own name, or that of an endpoint of it. */
const about = (used: string | undefined, flow: string): boolean =>
  used !== undefined && (used === flow || parseEndpointName(used)?.flow === flow)

function row(k: Kernel, s: Session): string[] {
  const use = k.sessions.use(s)
  const since = iso(use?.since ?? s.opened)
  return [String(s.id), who(k, s), s.peer.address, use?.command ?? '-', use?.flow ?? '-', since]
}

/** A credential that the kernel issued says nothing to a person: for whom it was made does. */
function who(k: Kernel, s: Session): string {
  if (!s.issued) return s.identity?.principal ?? '(no login)'
  const { kind, name } = s.issued.scope
  const id = parseEndpointName(name)?.id
  const subscriber = id === undefined ? undefined : k.resources.get('Subscriber', id)
  return subscriber?.spec.for ?? `(${kind})`
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = HEADER.map((_, at) => Math.max(...rows.map(r => r[at]!.length)))
  return rows.map(r =>
    r
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  )
}
