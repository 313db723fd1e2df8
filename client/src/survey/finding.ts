/** In the order in which each stands on the one before. `agent` and `clock` are for who runs the agent. */
export const LAYERS = ['agent', 'clock', 'dns', 'address', 'tcp', 'tls', 'greeting', 'key', 'grants', 'broker'] as const
export type Layer = (typeof LAYERS)[number]

/** What mends something: a line to write or to type, and where that is done. */
export interface Mend {
  /** `record`: a line of a zone file. `command`: a line for a shell. `config`: an option of the agent's config. */
  readonly kind: 'record' | 'command' | 'config'
  readonly text: string
  readonly at: string
}

/** What was found of one layer. */
export interface Finding {
  readonly layer: Layer
  /** What of it: `delegation`, `signature`, `certificate` … Append-only, for machines. */
  readonly check: string
  /** `warning`: it holds, but not as well as it could, or nobody can tell. `skipped`: nothing could be asked. */
  readonly state: 'ok' | 'warning' | 'broken' | 'skipped'
  /** One sentence for a person. */
  readonly text: string
  readonly mend: readonly Mend[]
}

/** Names and texts of strangers stand in it: nothing of them may steer a terminal. */
const plain = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?')

type Made = (layer: Layer, check: string, text: string, ...mend: readonly Mend[]) => Finding
const made =
  (state: Finding['state']): Made =>
  (layer, check, text, ...mend) => ({
    layer,
    check,
    state,
    text: plain(text),
    mend: mend.map(m => ({ ...m, text: plain(m.text), at: plain(m.at) })),
  })

export const fine = made('ok')
export const warning = made('warning')
export const broken = made('broken')
export const skipped = made('skipped')

export const record = (text: string, at: string): Mend => ({ kind: 'record', text, at })
export const command = (text: string, at: string): Mend => ({ kind: 'command', text, at })
export const option = (text: string, at: string): Mend => ({ kind: 'config', text, at })

/** Does one of them say that a layer is broken? What stands above it cannot be looked at. */
export const isBroken = (findings: readonly Finding[]): boolean => findings.some(f => f.state === 'broken')

/** The deepest layer that is broken: the one to mend first. */
export function firstBroken(findings: readonly Finding[]): Finding | undefined {
  return findings.filter(f => f.state === 'broken').sort((a, b) => LAYERS.indexOf(a.layer) - LAYERS.indexOf(b.layer))[0]
}

const WORDS: Readonly<Record<Mend['kind'], string>> = {
  record: 'a record, in',
  command: 'a command, at',
  config: 'an option, in',
}

/** A finding as lines for a person. @param view from where it was found, where that is not plain */
export function findingLines({ layer, state, text, mend }: Finding, view?: string): string[] {
  const where = view === undefined ? '' : `, seen from ${plain(view)}`
  const first = `${state.padEnd(8)} ${layer.padEnd(9)} ${text}${where}`
  if (state === 'ok') return [first]
  return [first, ...mend.flatMap(m => [`  mend it by ${WORDS[m.kind]} ${m.at}:`, `    ${m.text}`])]
}
