import { decodeValue, parseItem } from '@fnaa/protocol'
import type { Output } from './settings.js'
import { safe, safeJson, safeYaml } from './text.js'

/** Items of a GET as rows, their keys in the order in which they came. */
export type Row = ReadonlyMap<string, string>
export const rowsOf = (lines: readonly string[]): Row[] => lines.map(parseItem)

/** Rows below a header of their keys, columns as wide as they must be. A missing value is a hyphen. */
export function table(rows: readonly Row[]): string {
  const [first] = rows
  if (!first) return ''
  const keys = columns(rows)
  const cells = [keys.map(key => key.toUpperCase()), ...rows.map(row => keys.map(key => safe(row.get(key) ?? '-')))]
  const widths = keys.map((_, at) => Math.max(...cells.map(line => (line[at] as string).length)))
  return cells
    .map(
      line =>
        `${line
          .map((cell, at) => cell.padEnd(widths[at] as number))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Keys of all rows; one that only some rows have stands behind the key before it. */
function columns(rows: readonly Row[]): string[] {
  const keys: string[] = []
  for (const row of rows) {
    let at = 0
    for (const key of row.keys()) {
      const known = keys.indexOf(key)
      if (known >= 0) at = known + 1
      else keys.splice(at++, 0, key)
    }
  }
  return keys
}

/** `key=value` lines as an object. Lines that are none are kept under `text`. */
export function objectOf(lines: readonly string[]): Record<string, unknown> {
  const found: Record<string, unknown> = Object.create(null)
  for (const line of lines) {
    const equals = line.indexOf('=')
    if (equals > 0 && !line.slice(0, equals).includes(' '))
      found[line.slice(0, equals)] = decodeValue(line.slice(equals + 1))
    else found['text'] = [...((found['text'] as string[] | undefined) ?? []), line]
  }
  return found
}

/** A document as `-o json` and `-o yaml` print it. */
export async function document(value: unknown, output: 'json' | 'yaml'): Promise<string> {
  if (output === 'json') return `${safeJson(JSON.stringify(value, null, 2))}\n`
  return safeYaml(value)
}

/** `-o name`: the first value of each item. */
export const names = (values: readonly string[]): string => values.map(v => `${safe(v)}\n`).join('')
export const firstValue = (row: Row): string => row.values().next().value ?? ''

/** Does this output come from the agent's FORMAT JSON? */
export const isDocument = (output: Output | undefined): output is 'json' | 'yaml' =>
  output === 'json' || output === 'yaml'
