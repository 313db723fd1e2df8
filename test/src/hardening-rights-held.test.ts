import t from 'tap'
import { admin, type Client, eventually, pair, single, type Teardown, type TestAgent } from './support/agents.js'

const EARLIEST = { from: { at: 'earliest' } }
const TEAM = 'team.emiliano.test'

/** `a` has flows of its own; at `b`, bob manages a namespace and alice is a user with what he grants her. */
async function parties(t: Teardown) {
  const { a, b } = await pair(t)
  for (const name of ['alice', 'bob']) await b.addUser(name, name)
  const root = await b.login(t)
  await root.ok(`CREATE NAMESPACE ${TEAM}`)
  await root.ok(`GRANT manage ON NAMESPACE ${TEAM} TO bob@emiliano.test`)
  const [alice, bob] = [await b.login(t, 'alice', 'alice'), await b.login(t, 'bob', 'bob')]
  return { a, b, root, alice, bob, owner: await a.login(t) }
}

const mine = (b: TestAgent, local: string) => b.kernel.resources.by('Subscription', 'local', local)[0]
const gone = (b: TestAgent, local: string) => b.kernel.resources.get('Processor', mine(b, local)!.name) === undefined
const reaches = (b: TestAgent, local: string, phase: string) =>
  eventually(b, () => (mine(b, local)?.status.phase === phase ? true : undefined), `${local} is ${phase}`)

/** What the stranger asked is granted, and the subscriber is told. */
async function approve(owner: Client, b: TestAgent, local: string) {
  const id = mine(b, local)!.name
  const line = (await owner.ok('GET REQUESTS')).lines.find(l => l.includes(id))
  await owner.ok(`APPROVE ${/request=(\S+)/.exec(line ?? '')![1]}`)
  b.kernel.subscriptions.poke(id)
}

t.test('H7 a PUBLISH ends with the right to read what it publishes', async t => {
  const { b, alice, bob, owner } = await parties(t)
  const flow = `priv.${TEAM}`
  await bob.ok(`CREATE FLOW ${flow}`)
  await bob.ok(`GRANT read ON FLOW ${flow} TO alice@emiliano.test`)
  await owner.ok('CREATE FLOW inbox.flows.unix.test')
  await owner.ok('GRANT write ON FLOW inbox.flows.unix.test TO alice@emiliano.test')
  await alice.ok(`PUBLISH ${flow} TO inbox.flows.unix.test FROM earliest`)
  await bob.write(flow, 'before')
  t.strictSame(await owner.follow('inbox.flows.unix.test', 1, EARLIEST), ['before'])
  await bob.ok(`REVOKE read ON FLOW ${flow} FROM alice@emiliano.test`)
  t.match(mine(b, flow)?.status, { phase: 'failed', error: /^DENIED this needs read on the local flow/ })
  t.ok(gone(b, flow), 'REVOKE answers when nothing of it runs')
  await bob.write(flow, 'after')
  t.strictSame(await owner.read('inbox.flows.unix.test', EARLIEST), ['before'])
  b.kernel.subscriptions.poke(mine(b, flow)!.name)
  await b.kernel.queue.idle()
  t.equal(mine(b, flow)?.status.phase, 'failed', 'a hint of the stranger does not bring it back')
  await bob.ok(`GRANT read ON FLOW ${flow} TO alice@emiliano.test`)
  t.strictSame((await owner.follow('inbox.flows.unix.test', 2, EARLIEST))[0], 'before', 'with the right it goes on')

  await bob.ok(`UPDATE FLOW ${flow} VISIBILITY public`)
  await bob.ok(`REVOKE read ON FLOW ${flow} FROM alice@emiliano.test`)
  t.equal(mine(b, flow)?.status.phase === 'failed', false, 'who may read by visibility goes on')
  await bob.ok(`UPDATE FLOW ${flow} VISIBILITY private`)
  t.equal(mine(b, flow)?.status.phase, 'failed', 'and no longer')
  t.ok(gone(b, flow))

  await bob.ok(`UPDATE FLOW ${flow} VISIBILITY public`)
  await reaches(b, flow, 'active')
  await admin(b, 'user', 'remove', 'alice')
  t.ok(gone(b, flow), 'with the account it stops')
  await reaches(b, flow, 'stopped')
  await bob.write(flow, 'late')
  const published = await owner.read('inbox.flows.unix.test', EARLIEST)
  t.notOk(published.includes('late'))
})

t.test('H7 a SUBSCRIBE ends with the right to write its local flow, and a pending one never starts', async t => {
  const { b, alice, bob, owner } = await parties(t)
  const flow = `x.${TEAM}`
  await owner.ok('CREATE FLOW time.flows.unix.test VISIBILITY public')
  await bob.ok(`CREATE FLOW ${flow}`)
  await bob.ok(`GRANT write ON FLOW ${flow} TO alice@emiliano.test`)
  await alice.ok(`SUBSCRIBE time.flows.unix.test LOCAL ${flow} FROM earliest`)
  await owner.write('time.flows.unix.test', 'one')
  t.strictSame(await bob.follow(flow, 1, EARLIEST), ['one'])
  await bob.ok(`REVOKE write ON FLOW ${flow} FROM alice@emiliano.test`)
  t.match(mine(b, flow)?.status, { phase: 'failed', error: /^DENIED this needs write on the local flow/ })
  t.ok(gone(b, flow))
  await owner.write('time.flows.unix.test', 'two')
  t.match(await alice.say(`RESUME FLOW ${flow}`), { kind: 'error' })
  t.strictSame(await bob.read(flow, EARLIEST), ['one'])

  const pending = `p.${TEAM}`
  await bob.ok(`CREATE FLOW ${pending}`)
  await bob.ok(`GRANT read ON FLOW ${pending} TO alice@emiliano.test`)
  await owner.ok('CREATE FLOW box.flows.unix.test VISIBILITY listed REQUESTS yes')
  await alice.ok(`PUBLISH ${pending} TO box.flows.unix.test FROM earliest REASON please`)
  await bob.write(pending, 'secret')
  await bob.ok(`REVOKE read ON FLOW ${pending} FROM alice@emiliano.test`)
  await approve(owner, b, pending)
  await b.kernel.queue.idle()
  t.match(mine(b, pending)?.status, { phase: 'failed', error: /^DENIED/ })
  t.strictSame(await owner.read('box.flows.unix.test', EARLIEST), [])
})

t.test('H15 a local flow that is made days after the wish is checked as CREATE checks it', async t => {
  const { b, root, bob, owner } = await parties(t)
  for (const n of ['one', 'two', 'three', 'four'])
    await owner.ok(`CREATE FLOW ${n}.flows.unix.test VISIBILITY listed REQUESTS yes`)
  const wish = (source: string, local: string) =>
    bob.ok(`SUBSCRIBE ${source}.flows.unix.test LOCAL ${local} FROM earliest REASON please`)

  await wish('one', `z.${TEAM}`)
  await root.ok(`CREATE NAMESPACE z.${TEAM}`)
  await approve(owner, b, `z.${TEAM}`)
  await reaches(b, `z.${TEAM}`, 'failed')
  t.match(mine(b, `z.${TEAM}`)?.status.error, /^CONFLICT LOCAL is the name of a namespace/)
  t.notOk(b.kernel.resources.get('Flow', `z.${TEAM}`))

  await root.ok('CREATE NAMESPACE tmp.emiliano.test')
  await root.ok('GRANT manage ON NAMESPACE tmp.emiliano.test TO bob@emiliano.test')
  await wish('two', 'y.tmp.emiliano.test')
  await root.ok('DELETE NAMESPACE tmp.emiliano.test')
  await approve(owner, b, 'y.tmp.emiliano.test')
  await reaches(b, 'y.tmp.emiliano.test', 'failed')
  t.notOk(b.kernel.resources.get('Flow', 'y.tmp.emiliano.test'), 'no flow without a namespace')

  await wish('four', `w.${TEAM}`)
  await root.ok(`REVOKE manage ON NAMESPACE ${TEAM} FROM bob@emiliano.test`)
  await approve(owner, b, `w.${TEAM}`)
  await reaches(b, `w.${TEAM}`, 'failed')
  t.match(
    mine(b, `w.${TEAM}`)?.status.error,
    /^(DENIED|NOTFOUND) LOCAL/,
    'who manages it no longer makes nothing there',
  )
  await root.ok(`GRANT manage ON NAMESPACE ${TEAM} TO bob@emiliano.test`)

  await wish('three', `q.${TEAM}`)
  await bob.ok(`CREATE FLOW last.${TEAM}`)
  await root.ok(`UPDATE NAMESPACE ${TEAM} QUOTA flows=1`)
  await approve(owner, b, `q.${TEAM}`)
  await reaches(b, `q.${TEAM}`, 'failed')
  t.match(mine(b, `q.${TEAM}`)?.status.error, /^QUOTA/)
})

t.test('H15 of CREATE FLOW and DELETE NAMESPACE at once, one is refused', async t => {
  const a = await single(t)
  const [one, two] = [await a.login(t), await a.login(t)]
  for (let i = 0; i < 6; i++) {
    const name = `r${i}.unix.test`
    await one.ok(`CREATE NAMESPACE ${name}`)
    // Whichever of the two is said first.
    const create = () => one.say(`CREATE FLOW f.${name}`)
    const end = () => two.say(`DELETE NAMESPACE ${name}`)
    const [made, ended] =
      i % 2 === 0 ? await Promise.all([create(), end()]) : (await Promise.all([end(), create()])).reverse()
    t.equal([made, ended].filter(r => r?.kind === 'ok').length, 1, `${made?.symbol} ${ended?.symbol}`)
    const left = a.kernel.resources.get('Namespace', name)
    t.equal(left !== undefined, made?.kind === 'ok', 'the namespace stands where the flow does')
    t.equal(left?.deleting, undefined)
  }
  // As an agent before this one may have left it.
  await one.ok('CREATE NAMESPACE stuck.unix.test')
  await one.ok('CREATE FLOW f.stuck.unix.test')
  await a.kernel.resources.delete('Namespace', 'stuck.unix.test', { signal: AbortSignal.timeout(5000) })
  await one.ok('DELETE FLOW f.stuck.unix.test')
  const gone = () => (a.kernel.resources.get('Namespace', 'stuck.unix.test') ? undefined : true)
  t.ok(await eventually(a, gone, 'a namespace goes with its last flow'))
})
