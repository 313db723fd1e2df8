import { type Answer, Resolver } from '@fnaa/client'
import type t from 'tap'
import type { Raw } from './raw.js'
import { CREDENTIAL } from './thesis.js'

type Asserts = Pick<typeof t, 'equal' | 'match'>
/** What telnet shows: a line that was typed, and the lines that came back, each as text or as a pattern. */
export type Turn = readonly [typed: string, ...shown: (string | RegExp)[]]

/** T6: the log-in of every dialogue. */
export const LOGIN: readonly Turn[] = [
  ['AUTHENTICATE PLAIN', '220 OK'],
  [CREDENTIAL, '220 Authenticated'],
]

/** Types the lines and compares what comes back, line for line; then sees that nothing more had been said. */
export async function dialogue(t: Asserts, raw: Raw, turns: readonly Turn[]): Promise<string[]> {
  const seen: string[] = []
  for (const [typed, ...shown] of turns) {
    raw.send(`${typed}\r\n`)
    for (const expected of shown) {
      const line = await raw.line()
      seen.push(line)
      if (typeof expected === 'string') t.equal(line, expected, `${typed}: ${expected}`)
      else t.match(line, expected, `${typed}: ${expected}`)
    }
  }
  raw.send('NOOP\r\n')
  t.equal(await raw.line(), raw.buffered === '' ? '220 OK' : raw.buffered, 'nothing was said that was not asked')
  return seen
}

/** Asks one name server, as dig does. @returns `TYPE data` of each record */
export async function dig(server: string, name: string, type: 'A' | 'PTR' | 'SRV' | 'TXT'): Promise<string[]> {
  const colon = server.lastIndexOf(':')
  const at = { host: server.slice(0, colon), port: Number(server.slice(colon + 1)) }
  const resolver = new Resolver({ servers: [at], cacheSize: 0 })
  try {
    const answer: Answer = await resolver.resolve(name, type, { signal: AbortSignal.timeout(10_000) })
    return answer.records.map(r => {
      if (r.type === 'SRV') return `SRV ${r.priority} ${r.weight} ${r.port} ${r.target}`
      if (r.type === 'TXT') return `TXT ${r.strings.join(' ')}`
      return `${r.type} ${'target' in r ? r.target : 'address' in r ? r.address : ''}`
    })
  } finally {
    resolver.close()
  }
}
