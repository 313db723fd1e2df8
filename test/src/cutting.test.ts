import type { BrokerService, Driver } from '@fnaa/core'
import t from 'tap'
import { type Client, eventually, pair, type Teardown, type TestAgent } from './support/agents.js'
import lettingBroker from './support/letting-broker.js'

// Who is cut off is so, also where the broker that has to take a login away does not do it at once.

const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'
const c = () => ({ signal: AbortSignal.timeout(10_000) })
const { default: driver } = (await import('./support/letting-driver.js')) as { default: Driver }

/** What a broker does before it takes a login away. */
type Before = () => Promise<void> | void

interface Scene {
  readonly a: TestAgent
  readonly owner: Client
  readonly user: Client
  readonly id: string
  /** Whether the login that was given still reads. */
  reads(): Promise<boolean>
  before(revoke: Before): void
}

async function scene(t: Teardown, mode: 'copy' | 'direct'): Promise<Scene> {
  let before: Before = () => undefined
  const plugin = lettingBroker({})
  const slow: typeof plugin = {
    ...plugin,
    async setup(ctx) {
      const broker = (await plugin.setup(ctx)) as BrokerService
      const revoke: BrokerService['revoke'] = async (id, call) => {
        await before()
        return broker.revoke(id, call)
      }
      return { ...broker, revoke }
    },
  }
  const { a, b } = await pair(t, { change: o => ({ ...o, plugins: [...o.plugins, slow] }) })
  const [owner, user] = [await a.login(t), await b.login(t)]
  await owner.ok(`CREATE FLOW ${FLOW} BROKER broker-letting`)
  await owner.ok(`GRANT read,subscribe ON FLOW ${FLOW} TO *@emiliano.test`)
  await user.ok(`SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE ${mode}`)
  const id = b.kernel.resources.list('Subscription')[0]!.name
  const s = a.kernel.resources.get('Subscriber', id)!
  const given = (await a.kernel.access.of(s.uid, c()))!
  const reads = async () => {
    try {
      const host = { log: a.kernel.log, dial: a.kernel.dial, foreign: true }
      const wire = await driver.open(given.endpoint, given.credential, host, c())
      await (
        await wire.source({ reader: given.endpoint.reader ?? 'x', epoch: 0, from: { at: 'earliest' } }, c())
      ).close()
      await wire.close()
      return true
    } catch (e) {
      if ((e as { code?: string }).code === 'FNA_ERR_DENIED') return false
      throw e
    }
  }
  t.teardown(() => {
    before = () => undefined
  })
  return { a, owner, user, id, reads, before: is => (before = is) }
}

/** Opens once: whoever waits goes on, and nobody waits any more. */
function gate(): { readonly asked: Promise<void>; readonly before: Before; open(): void } {
  let ask = () => undefined as void
  let open = () => undefined as void
  const asked = new Promise<void>(resolve => (ask = resolve))
  const opened = new Promise<void>(resolve => (open = resolve))
  const before = () => {
    ask()
    return opened
  }
  return { asked, before, open: () => open() }
}

const phaseOf = ({ a, id }: Scene) => {
  const s = a.kernel.resources.get('Subscriber', id)
  return `${s?.status.phase} ${s?.status.conditions.find(x => x.type === 'Ready')?.reason}`
}

for (const mode of ['copy', 'direct'] as const)
  t.test(`H8 a suspended domain is shut out where its broker fails at first: ${mode}`, async t => {
    const all = await scene(t, mode)
    const { a } = all
    t.ok(await all.reads())
    let failures = 0
    all.before(() => {
      if (failures++ === 0)
        throw Object.assign(new Error('the broker does not answer'), { code: 'FNA_ERR_UNAVAILABLE' })
    })
    const [key] = a.kernel.resources.get('Peer', 'emiliano.test')!.status.keys!
    await a.kernel.pins.lost('emiliano.test', key!.fingerprint, 'revoked')
    await eventually(a, () => (phaseOf(all) === 'stopped Suspended' ? true : undefined), 'suspended')
    t.equal(await all.reads(), false)
    t.equal(a.kernel.resources.count('Processor'), 0, 'and nothing is fed')
    t.ok(failures > 1)
  })

t.test('STOP of a subscription whose lease has just ended waits for the broker too', async t => {
  const all = await scene(t, 'direct')
  const { a, id } = all
  const slow = gate()
  all.before(slow.before)
  const leaseUntil = new Date(a.kernel.clock.now() - 1000).toISOString()
  await a.kernel.resources.update('Subscriber', id, n => ({ status: { ...n.status, leaseUntil } }), c())
  a.kernel.queue.add(`Subscriber/${id}`)
  await slow.asked
  t.equal(phaseOf(all), 'stopped Stopping')
  let answered = false
  const stopping = all.user.ok(`STOP SUBSCRIPTION ${id}`).then(() => {
    answered = true
  })
  await eventually(
    a,
    () => (a.kernel.resources.get('Subscriber', id)?.spec.desired === 'stop' ? true : undefined),
    'heard',
  )
  t.ok(await all.reads())
  t.notOk(answered)
  slow.open()
  await stopping
  t.equal(await all.reads(), false)
  t.equal(phaseOf(all), 'stopped Stopped')
})

const GRANTED = `read,subscribe ON FLOW ${FLOW}`
for (const [what, line, afterwards] of [
  ['REMOVE SUBSCRIBER', `REMOVE SUBSCRIBER ${FLOW} emiliano.test`, 404],
  ['REVOKE', `REVOKE ${GRANTED} FROM *@emiliano.test`, 404],
  ['UPDATE PEER', 'UPDATE PEER emiliano.test BLOCKED yes', 220],
  ['UPDATE FLOW', `UPDATE FLOW ${FLOW} VISIBILITY private`, 220],
  ['DELETE FLOW', `DELETE FLOW ${FLOW}`, 404],
] as const)
  t.test(`${what} that is said again while the broker has not done it joins`, async t => {
    const all = await scene(t, 'direct')
    if (what === 'UPDATE FLOW') {
      await all.owner.ok(`UPDATE FLOW ${FLOW} VISIBILITY public`)
      await all.owner.ok(`REVOKE ${GRANTED} FROM *@emiliano.test`)
      t.ok(await all.reads(), 'by visibility alone')
    }
    const slow = gate()
    all.before(slow.before)
    const second = await all.a.login(t)
    const first = all.owner.say(line)
    await slow.asked
    const again = second.say(line)
    t.equal(await Promise.race([again.then(() => 'answered'), all.reads().then(() => 'reads')]), 'reads')
    slow.open()
    t.match(await Promise.all([first, again]), [{ code: 220 }, { code: 220 }])
    t.equal(await all.reads(), false)
    t.match(await all.owner.say(line), { code: afterwards })
  })
