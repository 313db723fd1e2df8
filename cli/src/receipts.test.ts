import { ReplyError } from '@fnaa/client'
import t from 'tap'
import type { Context } from './context.js'
import { type Seen, withReceipts } from './receipts.js'
import type { Run } from './run-verb.js'

const FLOW = 'time.flows.unix.test'
const seen = (subscriber: string, more: Partial<Seen> = {}): readonly [string, Seen] => [
  subscriber,
  { subscriber, who: `${subscriber}@emiliano.test`, phase: 'ready', flow: FLOW, ...more },
]
const cause = { reason: 'removed by the owner' }

/** A command that is done, and shows what there is to show. */
const documents: object[] = []
const shown: Run = async more => void documents.push((await more?.()) ?? {})

/** What is noted, where the second look shows `after`, and how it ends. */
async function notes(after: readonly (readonly [string, Seen])[], work: Run = shown, quiet = false) {
  const said: string[] = []
  const cx = { settings: { quiet, output: 'table' }, note: (line: string) => said.push(line) } as unknown as Context
  const looks = [
    [seen('ana'), seen('bob', { phase: 'pending' }), seen('eve'), seen('old', { phase: 'revoked', cause })],
    after,
  ]
  const error = await withReceipts(cx, async () => new Map(looks.shift()), work).then(
    () => undefined,
    e => e,
  )
  return { said, error }
}

const cut = { sessions: '2026-11-30T05:00:00Z', access: '2026-11-30T05:00:01Z' }
const after = [
  seen('ana', { phase: 'revoked', cause, cut }),
  seen('bob', { phase: 'gone', cause }),
  seen('eve'),
  seen('old', { phase: 'revoked', cause }),
]

t.test('a line for each that was cut off by it, and for nobody else', async t => {
  t.same(await notes(after, shown), {
    said: [
      `ana@emiliano.test is cut off from ${FLOW} (ana): sessions 2026-11-30T05:00:00Z, access 2026-11-30T05:00:01Z`,
      `the request of bob@emiliano.test for ${FLOW} is ended (bob); they may ask again`,
    ],
    error: undefined,
  })
  t.match(documents.at(-1), { receipts: [{ subscriber: 'ana', who: 'ana@emiliano.test', cut }, { subscriber: 'bob' }] })
  t.same(await notes([seen('ana')], shown), {
    said: ['no subscriber is cut off by it; sessions and logins at the broker that nothing gives any more have ended'],
    error: undefined,
  })
  t.same(await notes(after, shown, true), { said: [], error: undefined })
})

t.test('where the agent gave up waiting, what is pending is said, and the error stays one', async t => {
  const fails = (code: number, symbol: string) => () =>
    Promise.reject(new ReplyError({ kind: 'error', code, symbol, text: '', temporary: true, lines: [] }))
  const waiting = [seen('ana', { cause, cut: { ...cut, access: 'pending' } }), seen('eve', { cause })]
  const { said, error } = await notes(waiting, fails(504, 'TIMEOUT'))
  t.same(said, [
    `ana@emiliano.test is cut off from ${FLOW} (ana): sessions 2026-11-30T05:00:00Z, access still pending`,
    `eve@emiliano.test is cut off from ${FLOW} (eve): not yet`,
  ])
  t.match(error, { reply: { symbol: 'TIMEOUT' } })
  const refused = await notes(waiting, fails(403, 'DENIED'))
  t.same(refused.said, [])
  t.match(refused.error, { reply: { symbol: 'DENIED' } })
})
