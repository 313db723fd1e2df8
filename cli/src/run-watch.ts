import type { Context } from './context.js'
import { type Given, type Request, requestOf } from './line.js'
import { firstValue, isDocument, names, objectOf, type Row, rowsOf, table } from './output.js'
import { titleOf, withSession } from './run-verb.js'
import type { Session } from './session.js'
import { safeJson } from './text.js'
import type { CommandSpec } from './tree.js'
import { pause } from './wait.js'

const CLEAR = '\x1b[H\x1b[2J'

/**
 * `--watch`: the command again and again on one connection. A terminal shows the list as it is; a pipe gets what changed,
 * one item a line: rows of a table, or with `-o json` `{"change":"added|changed|removed","item":{…}}`.
 */
export async function runWatch(cx: Context, spec: CommandSpec, words: readonly string[], given: Given): Promise<void> {
  const request = requestOf(spec, words, given, isDocument(cx.settings.output))
  const interval = seconds(given['interval'])
  cx.debug.say(titleOf(request))
  await withSession(
    cx,
    request,
    async session => {
      const screen = cx.out.terminal && !isDocument(cx.settings.output)
      let known = new Map<string, Item>()
      for (let first = true; ; first = false) {
        const items = await ask(session, request)
        if (screen) await cx.out.write(`${CLEAR}${table([...items.values()].map(item => item.row))}`)
        else await printChanges(cx, known, items, first)
        known = items
        await pause(interval, AbortSignal.any([cx.interrupt, cx.out.closed]))
      }
    },
    { login: spec.verb.when !== 'any' },
  )
}

/** An item: its text to compare by, and both its forms. */
interface Item {
  readonly text: string
  readonly row: Row
  readonly value: unknown
}

async function ask(session: Session, r: Request): Promise<Map<string, Item>> {
  const { lines } = await session.command(r.line)
  if (r.options['format'] === 'json') {
    const parsed = JSON.parse(lines[0] ?? '[]') as Record<string, unknown> | Record<string, unknown>[]
    const values = Array.isArray(parsed) ? parsed : [parsed]
    return new Map(values.map(value => [String(Object.values(value)[0]), itemOf(value)]))
  }
  const rows = r.verb.id.startsWith('GET ') ? rowsOf(lines) : [rowOf(lines)]
  return new Map(
    rows.map(row => [firstValue(row), { text: JSON.stringify([...row]), row, value: Object.fromEntries(row) }]),
  )
}

const rowOf = (lines: readonly string[]): Row =>
  new Map(Object.entries(objectOf(lines)).map(([k, v]) => [k, String(v)]))
const itemOf = (value: Record<string, unknown>): Item => ({
  text: JSON.stringify(value),
  row: new Map(Object.entries(value).map(([k, v]) => [k, String(v)])),
  value,
})

async function printChanges(
  cx: Context,
  known: ReadonlyMap<string, Item>,
  items: ReadonlyMap<string, Item>,
  first: boolean,
): Promise<void> {
  const fresh = [...items].filter(([key, item]) => known.get(key)?.text !== item.text)
  const gone = [...known].filter(([key]) => !items.has(key))
  const { output } = cx.settings
  if (isDocument(output)) {
    for (const [key, { value }] of fresh) await print(cx, known.has(key) ? 'changed' : 'added', value)
    for (const [, { value }] of gone) await print(cx, 'removed', value)
    return
  }
  if (output === 'name') return cx.out.write(names(fresh.map(([key]) => key)))
  const rows = fresh.map(([, item]) => item.row)
  const text = table(rows)
  await cx.out.write(first ? text : text.slice(text.indexOf('\n') + 1))
  for (const [key] of gone) await cx.out.write(`${key} removed\n`)
}

const print = (cx: Context, change: string, item: unknown): Promise<void> =>
  cx.out.write(`${safeJson(JSON.stringify({ change, item }))}\n`)

function seconds(given: unknown): number {
  const n = Number(given ?? 2)
  return Number.isFinite(n) && n >= 0.1 ? n * 1000 : 2000
}
