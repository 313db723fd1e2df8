import { randomBytes } from 'node:crypto'
import { formatCommand, mintId } from '@fnaa/protocol'
import t, { type Test } from 'tap'
import { type Client, eventually, pair, single, type TestAgent } from './support/agents.js'
import { Raw } from './support/raw.js'

// What is said of rights at one moment by several: every OK is true, and nothing stands that no answer tells of.

const FLOW = 'time.flows.unix.test'
const ON = `ON FLOW ${FLOW}`
const BOB = 'bob@unix.test'
const PASSWORD = 'a long password'
const id = () => mintId(randomBytes(16))

const grantsOf = (a: TestAgent) => a.kernel.resources.list('Grant').filter(g => g.spec.on.name === FLOW)
const rightsOf = (a: TestAgent, to: string) =>
  grantsOf(a)
    .filter(g => g.spec.to === to && !g.spec.deny)
    .map(g => [...g.spec.rights].sort().join(','))

async function owned(a: TestAgent, t: Test): Promise<readonly [Client, Client, Client]> {
  const all = await Promise.all([a.login(t), a.login(t), a.login(t)])
  await a.addUser('bob', PASSWORD)
  await all[0].ok(`CREATE FLOW ${FLOW}`)
  return all as unknown as readonly [Client, Client, Client]
}

t.test('one grant for each who, and no change is lost', async t => {
  const a = await single(t)
  const [one, two, three] = await owned(a, t)
  const grant = `GRANT read,subscribe ${ON} TO ${BOB}`
  await Promise.all([one.ok(grant), two.ok(grant), three.ok(grant)])
  t.same(rightsOf(a, BOB), ['read,subscribe'])
  await Promise.all([one.ok(`REVOKE read ${ON} FROM ${BOB}`), two.ok(`GRANT write ${ON} TO ${BOB}`)])
  t.same(rightsOf(a, BOB), ['subscribe,write'])
  await Promise.all([one.ok(`REVOKE subscribe ${ON} FROM ${BOB}`), two.ok(`REVOKE write ${ON} FROM ${BOB}`)])
  t.same(rightsOf(a, BOB), [])
})

/** As long as a change waits for another one, which is as it should be. */
const AWHILE_MS = 300
const awhile = () => AbortSignal.timeout(AWHILE_MS)

t.test('what is granted on a flow that goes at that moment goes with it', async t => {
  const a = await single(t)
  const [one, two] = await owned(a, t)
  const { resources } = a.kernel
  const create = resources.create.bind(resources)
  let deleted: Promise<unknown> | undefined
  resources.create = (async (...of: Parameters<typeof create>) => {
    if (of[0].kind === 'Grant') {
      deleted = two.ok(`DELETE FLOW ${FLOW}`)
      await resources.until('Flow', FLOW, f => (f ? undefined : true), awhile())
    }
    return create(...of)
  }) as typeof create
  await one.ok(`GRANT read ${ON} TO ${BOB}`)
  resources.create = create
  await deleted
  t.same(grantsOf(a), [], 'nobody reads the next flow of that name')
  t.match(await one.say(`GRANT read ${ON} TO ${BOB}`), { symbol: 'NOTFOUND' })
})

t.test('a grant that is given again as it ends is not lost', async t => {
  const a = await single(t)
  const [one, two] = await owned(a, t)
  const { resources } = a.kernel
  await one.ok(`GRANT read ${ON} TO ${BOB} EXPIRES 2199-01-01T00:00:00Z`)
  const [g] = grantsOf(a)
  const remove = resources.delete.bind(resources)
  let again: Promise<unknown> | undefined
  const ended = new Promise<void>(resolve => {
    resources.delete = (async (...of: Parameters<typeof remove>) => {
      if (of[0] === 'Grant') {
        again = two.ok(`GRANT read ${ON} TO ${BOB}`)
        await resources.until('Grant', of[1], n => (n?.spec.expires === undefined ? true : undefined), awhile())
      }
      const how = await remove(...of)
      resolve()
      return how
    }) as typeof remove
  })
  const expires = new Date(a.kernel.clock.now() - 1).toISOString()
  await resources.update('Grant', g!.name, n => ({ spec: { ...n.spec, expires } }), { signal: awhile() })
  a.kernel.queue.add(`Grant/${g!.name}`)
  await ended
  resources.delete = remove
  await again
  t.same(rightsOf(a, BOB), ['read'])
})

t.test('of two that decide a request, the second finds it decided', async t => {
  const { a, b } = await pair(t)
  const [one, two] = await owned(a, t)
  await one.ok(`UPDATE FLOW ${FLOW} REQUESTS yes`)
  const user = await b.login(t)
  for (const [first, second] of [
    ['APPROVE', 'APPROVE'],
    ['APPROVE', 'DENY'],
    ['DENY', 'APPROVE'],
  ]) {
    const local = `${first}-${second}.flows.emiliano.test`.toLowerCase()
    const asked = user.say(`SUBSCRIBE ${FLOW} LOCAL ${local}`)
    const request = await eventually(
      a,
      () => a.kernel.resources.list('Request').find(r => r.spec.decision === undefined)?.name,
      'asked',
    )
    const said = await Promise.all([one.say(`${first} ${request}`), two.say(`${second} ${request}`)])
    t.same(
      said.map(r => (r.kind === 'error' ? r.symbol : r.code)),
      [220, 'CONFLICT'],
    )
    t.equal(rightsOf(a, 'test@emiliano.test').length, first === 'APPROVE' ? 1 : 0)
    await asked
    await user.ok(`UNSUBSCRIBE ${local}`)
    if (first === 'APPROVE') await one.ok(`REVOKE read,subscribe ${ON} FROM test@emiliano.test`)
  }
})

t.test('H7 a bar cuts all that stood on the same visibility, and each is barred once', async t => {
  const { a, b } = await pair(t)
  const [one, two] = await owned(a, t)
  await one.ok(`UPDATE FLOW ${FLOW} VISIBILITY public`)
  // What anybody may see is no reason to let him come again.
  await one.ok(`GRANT describe ${ON} TO *`)
  await b.addUser('dave', PASSWORD)
  const user = await b.login(t)
  await user.ok('GRANT manage ON NAMESPACE flows.emiliano.test TO dave@emiliano.test')
  const dave = await b.login(t, 'dave', PASSWORD)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL one.flows.emiliano.test`)
  await dave.ok(`SUBSCRIBE ${FLOW} LOCAL two.flows.emiliano.test`)
  await Promise.all([
    one.ok(`REMOVE SUBSCRIBER ${FLOW} test@emiliano.test`),
    two.say(`REMOVE SUBSCRIBER ${FLOW} emiliano.test`),
  ])
  t.same(
    a.kernel.resources.by('Subscriber', 'flow', FLOW).map(s => s.status.phase),
    ['revoked', 'revoked'],
  )
  t.same(
    grantsOf(a)
      .filter(g => g.spec.deny)
      .map(g => g.spec.to)
      .sort(),
    ['*@emiliano.test', 'emiliano.test'],
  )
  const ahead = new Date(a.kernel.clock.now() + 3_600_000).toISOString()
  await one.ok(`GRANT read ${ON} TO *@emiliano.test`)
  await one.ok(`GRANT read,subscribe ${ON} TO dave@emiliano.test EXPIRES ${ahead}`)
  t.match(
    await user.say(`SUBSCRIBE ${FLOW} LOCAL three.flows.emiliano.test`),
    { kind: 'error' },
    'a grant that does not let it subscribe lifts nothing',
  )
  t.match(await dave.say(`SUBSCRIBE ${FLOW} LOCAL four.flows.emiliano.test`), { kind: 'data' })
})

t.test('H7 a READ or WRITE that is being opened when its right ends is cut before it begins', async t => {
  const a = await single(t)
  const [one] = await owned(a, t)
  const open = a.kernel.brokers.open.bind(a.kernel.brokers)
  for (const line of [
    `READ FLOW ${FLOW} FROM earliest FOLLOW`,
    `READ FLOW ${FLOW} FROM earliest FORMAT BATCH`,
    `WRITE FLOW ${FLOW}`,
    `WRITE FLOW ${FLOW} FORMAT BATCH`,
  ]) {
    await one.ok(`GRANT read,write ${ON} TO ${BOB}`)
    const raw = await Raw.open(t, a.port)
    await raw.login('bob', PASSWORD)
    const opening = new Promise<() => void>(resolve => {
      a.kernel.brokers.open = async (...of) => {
        const wire = await open(...of)
        await new Promise<void>(go => resolve(go))
        return wire
      }
    })
    raw.send(`${line}\r\n`)
    const go = await opening
    a.kernel.brokers.open = open
    await one.ok(`REVOKE read,write ${ON} FROM ${BOB}`)
    go()
    t.equal(await raw.rest(), '', line)
  }
})

t.test('what was removed stays so, whatever its agent says at that moment', async t => {
  const { a, b } = await pair(t)
  const [one] = await owned(a, t)
  await one.ok(`GRANT read,subscribe ${ON} TO *@emiliano.test`)
  const c = { signal: AbortSignal.timeout(20_000) }
  const at = await b.kernel.peers.find(FLOW, c)
  const say = (line: string) => b.kernel.peers.request(at, line, c)
  const wish = (n: string, gen: number) =>
    formatCommand('SUBSCRIBE', { flow: FLOW }, { id: n, gen, accept: ['fnap'], for: 'test@emiliano.test' })
  for (const pending of [false, true]) {
    if (pending) {
      await one.ok(`REVOKE read,subscribe ${ON} FROM *@emiliano.test`)
      await one.ok(`UPDATE FLOW ${FLOW} REQUESTS yes`)
    }
    const n = id()
    t.equal((await say(wish(n, 1))).kind, pending ? 'pending' : 'data')
    // It is condemned while the agent's word is on its way to the store.
    const update = a.kernel.resources.update.bind(a.kernel.resources)
    let removed: Promise<unknown> | undefined
    a.kernel.resources.update = (async (...of: Parameters<typeof update>) => {
      if (removed === undefined && of[0] === 'Subscriber') {
        removed = Promise.resolve()
        removed = one.ok(`REMOVE SUBSCRIBER ${FLOW} ${n}`)
        await eventually(
          a,
          () => (a.kernel.resources.get('Subscriber', n)?.spec.desired === 'revoked' ? true : undefined),
          'condemned',
        )
      }
      return update(...of)
    }) as typeof update
    const said = await say(pending ? wish(n, 2) : formatCommand('STOP SUBSCRIPTION', { id: n }, { gen: 2 }))
    a.kernel.resources.update = update
    t.match(said, { kind: 'error', code: 410 })
    await removed
    t.equal(a.kernel.resources.get('Subscriber', n)?.status.phase, 'revoked')
    t.match(await say(wish(n, 5)), { kind: 'error', code: 410 })
    t.same(
      grantsOf(a).filter(g => g.spec.deny),
      [],
      'who had a grant, or only asked, is not barred',
    )
  }
})

t.test('GET GRANTS shows what holds, and to nobody a flow that he may not see', async t => {
  const a = await single(t)
  const [one] = await owned(a, t)
  await one.ok(`UPDATE FLOW ${FLOW} VISIBILITY public`)
  await one.ok('GRANT manage ON NAMESPACE flows.unix.test TO bob@unix.test')
  const bob = await a.login(t, 'bob', PASSWORD)
  await bob.ok('CREATE FLOW local.flows.unix.test')
  await one.ok('REVOKE manage ON NAMESPACE flows.unix.test FROM bob@unix.test')
  await bob.ok(`SUBSCRIBE ${FLOW} LOCAL local.flows.unix.test`)
  const reading = await Raw.open(t, a.port)
  await reading.login('bob', PASSWORD)
  reading.send(`READ FLOW ${FLOW} FROM earliest FOLLOW\r\n`)
  t.equal(await reading.line(), '220 DATA')
  await one.ok(`REMOVE SUBSCRIBER ${FLOW} ${BOB}`)
  await reading.rest()
  t.ok(reading.closed, 'what he read beside it is cut')
  await one.ok(`GRANT read ${ON} TO *`)
  t.same((await bob.ok('GET GRANTS')).lines, [])
  t.match(await bob.say(`DESCRIBE FLOW ${FLOW}`), { symbol: 'NOTFOUND' })
})

t.test('the domain of the agent itself cannot be blocked', async t => {
  const a = await single(t)
  t.match(await (await a.login(t)).say('UPDATE PEER unix.test BLOCKED yes'), { symbol: 'BADVALUE' })
})
