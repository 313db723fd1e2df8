import { randomBytes } from 'node:crypto'
import { mintId } from '@fnaa/protocol'
import t, { type Test as Tap } from 'tap'
import { type Client, single, type TestAgent } from './support/agents.js'

const PUBLIC = 'time.flows.unix.test'

/** A namespace that nobody but the administrator sees, with a flow in it; beside them one that does not exist. */
async function hiding(t: Tap): Promise<{ a: TestAgent; owner: Client; eve: Client; nobody: Client }> {
  const a = await single(t)
  const owner = await a.login(t)
  await a.addUser('eve', 'eves password')
  const eve = await a.login(t, 'eve', 'eves password')
  const nobody = await a.anonymous(t)
  await owner.ok(`CREATE FLOW ${PUBLIC} VISIBILITY public`)
  await owner.ok('CREATE FLOW secret.flows.unix.test')
  await owner.ok('CREATE NAMESPACE hidden.unix.test')
  await owner.ok('CREATE FLOW secret.hidden.unix.test')
  return { a, owner, eve, nobody }
}

/** The reply, with the guess taken out of it. */
async function answer(client: Client, line: string, guess: string): Promise<string> {
  const r = await client.say(line.replaceAll('%', guess))
  return JSON.stringify([r.kind, r.code, r.symbol, r.text, r.lines]).replaceAll(guess, '%')
}

const FLOWS = [
  ['secret.flows.unix.test', 'absent.flows.unix.test'],
  ['secret.hidden.unix.test', 'absent.hidden.unix.test'],
  ['secret.hidden.unix.test', 'secret.absent.unix.test'],
] as const
const OF_FLOWS = [
  'SUBSCRIBE % LOCAL mine.eve.example',
  `SUBSCRIBE ${PUBLIC} LOCAL %`,
  `PUBLISH ${PUBLIC} TO %`,
  'CREATE FLOW %',
  'CREATE NAMESPACE sub.%',
  'DESCRIBE FLOW %',
  'READ FLOW %',
  'UPDATE FLOW % TITLE x',
  'DELETE FLOW %',
  'GET SUBSCRIBERS %',
  'GET GRANTS ON FLOW %',
  'GET REQUESTS %',
  'GRANT read ON FLOW % TO eve@unix.test',
  'PAUSE FLOW %',
  'UNSUBSCRIBE %',
  'ACCESS FLOW % READ',
  `REPLICATE ${PUBLIC} %`,
  'DESCRIBE AGENT %',
]
const OF_NAMESPACES = [
  'CREATE NAMESPACE %',
  'CREATE NAMESPACE sub.%',
  'DESCRIBE NAMESPACE %',
  'UPDATE NAMESPACE % TITLE x',
  'DELETE NAMESPACE %',
  'GET NAMESPACES %',
  'GET FLOWS %',
  'GET GRANTS ON NAMESPACE %',
  'GRANT read ON NAMESPACE % TO eve@unix.test',
  'DESCRIBE AGENT %',
  `SUBSCRIBE ${PUBLIC} LOCAL x.%`,
]

t.test('hidden and absent look the same to who may not see', async t => {
  const { a, eve, nobody } = await hiding(t)
  for (const [name, client] of [
    ['a user', eve],
    ['nobody', nobody],
  ] as const) {
    for (const [hidden, absent] of FLOWS) {
      for (const line of OF_FLOWS)
        t.equal(await answer(client, line, hidden), await answer(client, line, absent), `${name}: ${line} ${absent}`)
    }
    for (const line of OF_NAMESPACES) {
      const hidden = await answer(client, line, 'hidden.unix.test')
      t.equal(hidden, await answer(client, line, 'absent.unix.test'), `${name}: ${line}`)
    }
  }
  t.equal(a.kernel.resources.count('Subscription'), 0)
  t.equal(a.kernel.resources.count('Subscriber'), 0, 'a wish that was refused leaves no tombstone')
})

t.test('an agent is listed with the namespaces that the caller may see, and no others', async t => {
  const { owner, eve, nobody } = await hiding(t)
  const namespaces = async (c: Client) =>
    (JSON.parse((await c.ok('GET AGENTS FORMAT JSON')).lines[0]!) as { namespaces: string[] }[])[0]!.namespaces
  t.same(await namespaces(owner), ['flows.unix.test', 'hidden.unix.test'])
  t.same(await namespaces(nobody), [])
  await owner.ok('GRANT describe ON NAMESPACE flows.unix.test TO eve@unix.test')
  t.same(await namespaces(eve), ['flows.unix.test'])
  // One who manages a namespace of her own may describe agents, but those of hidden namespaces no more than before.
  await owner.ok('CREATE NAMESPACE eves.unix.test')
  await owner.ok('UPDATE NAMESPACE eves.unix.test OWNER eve@unix.test')
  const hidden = await answer(eve, 'DESCRIBE AGENT %', 'hidden.unix.test')
  t.match(hidden, /NOTFOUND/)
  t.equal(hidden, await answer(eve, 'DESCRIBE AGENT %', 'absent.unix.test'))
  t.match((await eve.ok('DESCRIBE AGENT eves.unix.test')).lines, ['agent=fnaa.unix.test', 'namespace=eves.unix.test'])
})

t.test('who has rights gets the exact reason', async t => {
  const { owner, eve } = await hiding(t)
  await owner.ok('GRANT describe ON NAMESPACE hidden.unix.test TO eve@unix.test')
  for (const name of ['secret.hidden.unix.test', 'absent.hidden.unix.test'])
    t.match(await eve.say(`CREATE FLOW ${name}`), { symbol: 'DENIED', text: /needs manage on the namespace/ })
  t.match(await eve.say(`SUBSCRIBE ${PUBLIC} LOCAL new.hidden.unix.test`), {
    symbol: 'DENIED',
    text: /^LOCAL needs manage/,
  })
  t.match(await eve.say(`SUBSCRIBE ${PUBLIC} LOCAL secret.hidden.unix.test`), { symbol: 'DENIED', text: /needs write/ })
  t.match(await owner.say('CREATE FLOW secret.hidden.unix.test'), { symbol: 'EXISTS' })
  t.match(await owner.say('CREATE NAMESPACE hidden.unix.test'), { symbol: 'EXISTS' })
  t.match(await owner.say('CREATE FLOW x.absent.unix.test'), { symbol: 'NOTFOUND', text: /no namespace of this agent/ })
})

t.test('nothing is given to an owner who can never log in', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  await owner.ok('CREATE FLOW kept.flows.unix.test')
  for (const [who, says] of [
    ['eve@elsewhere.test', /OWNER is a user of this agent: user@unix\.test/],
    ['*@unix.test', /OWNER is one user/],
    ['unix.test', /OWNER is one user/],
  ] as const) {
    for (const thing of ['FLOW kept.flows.unix.test', 'NAMESPACE flows.unix.test'])
      t.match(await owner.say(`UPDATE ${thing} OWNER ${who}`), { symbol: 'BADVALUE', text: says })
  }
})

t.test('H15 an alias does not get a name that CREATE refuses', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok(`CREATE FLOW ${PUBLIC} VISIBILITY public`)
  const id = mintId(randomBytes(16))
  for (const [local, symbol] of [
    [`${id}.x.example`, 'BADNAME'],
    [`${id.toUpperCase()}.${PUBLIC}`, 'BADNAME'],
    ['www.x.example', 'BADNAME'],
    ['_fnap.x.example', 'BADNAME'],
    ['fnaa.unix.test', 'CONFLICT'],
    [`${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.dddddddddddddddd.example`, 'BADNAME'],
    ['x.unix.test', 'NOTFOUND'],
  ] as const)
    t.match(await user.say(`SUBSCRIBE ${PUBLIC} LOCAL ${local}`), { symbol }, local)
  t.equal(a.kernel.resources.count('Subscription'), 0)
  await user.ok(`SUBSCRIBE ${PUBLIC} LOCAL x.example`)
})
