import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { FnapConnection, scram } from '@fnaa/client'
import { formatCommand, mintId } from '@fnaa/protocol'
import t from 'tap'
import { admit } from '../../core/dist/server/admit.js'
import { eventually, pair, refused, single, type TestAgent } from './support/agents.js'
import { Raw } from './support/raw.js'

const id = () => mintId(randomBytes(16))
const FLOW = 'time.flows.unix.test'

/** A line of b's agent to a's, over their own authenticated connection. */
async function asAgent(b: TestAgent, line: string) {
  const c = { signal: AbortSignal.timeout(20_000) }
  return b.kernel.peers.request(await b.kernel.peers.find(FLOW, c), line, c)
}
const wish = (o: object) =>
  formatCommand('SUBSCRIBE', { flow: FLOW }, { accept: ['fnap'], format: 'json', gen: 1, ...o })

t.test('two agents', async t => {
  const { a, b } = await pair(t)
  const owner = await a.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} VISIBILITY public`)
  await owner.ok('CREATE FLOW other.flows.unix.test VISIBILITY public')
  await owner.ok('CREATE FLOW secret.flows.unix.test')

  await t.test('H1 an ID belongs to the first domain that used it', async t => {
    const mine = id()
    const first = await asAgent(b, wish({ id: mine, for: 'test@emiliano.test' }))
    t.equal(first.kind, 'data')
    const before = a.kernel.resources.get('Subscriber', mine)
    const c = { signal: AbortSignal.timeout(5000) }
    const stolen = {
      flow: FLOW,
      direction: 'in' as const,
      id: mine,
      generation: 2,
      peer: 'evil.test',
      for: 'evil.test',
      from: { at: 'latest' as const },
      mode: 'auto' as const,
      accept: ['fnap'],
      rotate: false,
    }
    await refused(t, a.kernel.provider.agree(stolen, c.signal), 'CONFLICT')
    await refused(t, a.kernel.provider.end({ peer: 'evil.test', flow: FLOW, id: mine }, c.signal), 'CONFLICT')
    await refused(t, a.kernel.provider.stop({ peer: 'evil.test', id: mine, generation: 9 }, c.signal), 'CONFLICT')
    t.equal(a.kernel.resources.get('Subscriber', mine)?.revision, before?.revision, 'nothing changed')
    const agreement = JSON.parse(first.lines[0]!) as { credential: { values: { user: string } } }
    t.not(agreement.credential.values.user, mine, 'the user is not made from the ID')
    await asAgent(b, formatCommand('UNSUBSCRIBE', { flow: FLOW }, { id: mine, gen: 1 }))
    await refused(t, a.kernel.provider.agree(stolen, c.signal), 'CONFLICT', 'a tombstone too')
  })

  await t.test('H6 flow, direction and FOR of an ID never change; a lower GEN is stale; GEN is a number', async t => {
    const mine = id()
    await asAgent(b, wish({ id: mine, for: 'test@emiliano.test', gen: 9 }))
    const other = formatCommand(
      'SUBSCRIBE',
      { flow: 'other.flows.unix.test' },
      { accept: ['fnap'], id: mine, gen: 10, for: 'test@emiliano.test' },
    )
    t.match(await asAgent(b, other), { symbol: 'CONFLICT' })
    t.match(await asAgent(b, wish({ id: mine, for: 'other@emiliano.test', gen: 10 })), { symbol: 'CONFLICT' })
    t.match(
      await asAgent(
        b,
        formatCommand('PUBLISH', { flow: FLOW }, { accept: ['fnap'], id: mine, gen: 10, for: 'test@emiliano.test' }),
      ),
      { symbol: 'CONFLICT' },
    )
    t.match(await asAgent(b, wish({ id: mine, for: 'test@emiliano.test', gen: 8 })), { symbol: 'STALE', text: '9' })
    t.match(
      await asAgent(b, wish({ id: mine, for: 'test@emiliano.test', gen: 9, mode: 'fnap' })),
      { symbol: 'STALE' },
      'another wish under an equal GEN',
    )
    t.match(await asAgent(b, wish({ id: mine, for: 'test@emiliano.test', gen: 10 })), { kind: 'data' })
    t.match(await asAgent(b, `SUBSCRIBE ${FLOW} ID ${id()} GEN 1234567890123456 ACCEPT fnap`), { code: 400 })
  })

  await t.test('H5 FOR is one user of the domain; no strong right for everyone', async t => {
    for (const bad of [
      '*',
      '*@emiliano.test',
      'alice@evil.test',
      'a b@emiliano.test',
      'emiliano.test',
      `${'x'.repeat(65)}@emiliano.test`,
      'ali!ce@emiliano.test',
    ]) {
      const reply = await asAgent(b, `SUBSCRIBE ${FLOW} ID ${id()} GEN 1 ACCEPT fnap FOR ${bad.replace(' ', '')}`)
      if (bad !== 'a b@emiliano.test') t.equal(reply.kind, 'error', bad)
    }
    for (const right of ['manage', 'write', 'read,write']) {
      t.equal((await owner.say(`GRANT ${right} ON FLOW ${FLOW} TO *`)).code, 400)
      t.equal((await owner.say(`GRANT ${right} ON FLOW ${FLOW} TO anonymous`)).code, 400)
    }
  })

  await t.test('H3 an issued login reads its one endpoint and nothing else, inside TLS', async t => {
    const mine = id()
    const reply = await asAgent(b, wish({ id: mine, for: 'test@emiliano.test', from: { at: 'earliest' } }))
    const agreement = JSON.parse(reply.lines[0]!) as {
      credential: { values: { user: string; password: string } }
      tls: { servername: string; ca: string }
    }
    const { user, password } = agreement.credential.values
    const open = async () => {
      const socket = connect(a.port, '127.0.0.1')
      await once(socket, 'connect')
      return FnapConnection.connect(socket)
    }
    const clear = await open()
    await t.rejects(
      clear.authenticate(
        'SCRAM-SHA-256',
        scram({ user, password, mechanism: 'SCRAM-SHA-256', peer: clear.peerInfo(), offered: [] }),
      ),
      'not in clear',
    )
    clear.destroy()
    const s = await open()
    t.teardown(() => s.destroy())
    await s.starttls({ servername: agreement.tls.servername, ca: agreement.tls.ca })
    await s.authenticate(
      'SCRAM-SHA-256-PLUS',
      scram({ user, password, mechanism: 'SCRAM-SHA-256-PLUS', peer: s.peerInfo(), offered: [] }),
    )
    for (const line of [
      `READ FLOW ${FLOW}`,
      'READ FLOW other.flows.unix.test',
      'READ FLOW secret.flows.unix.test',
      'GET FLOWS',
      'GET SUBSCRIPTIONS',
      `SUBSCRIBE ${FLOW} ID ${id()} GEN 1 ACCEPT fnap`,
      `NOTIFY ${mine}`,
      `GET GRANTS`,
    ]) {
      t.match(await s.command(line), { code: 403 }, line)
    }
    for (const line of ['CAPABILITIES', 'HELP NOOP', 'WHOAMI', 'NOOP'])
      t.not((await s.command(line)).kind, 'error', line)
    t.equal((await s.command(`READ FLOW ${mine}.${FLOW}`)).kind, 'data')
    await t.rejects(s.write(`WRITE FLOW ${mine}.${FLOW}`), /403 DENIED/)
  })

  await t.test('H3 ROTATE gives a second credential; the first ends after its ten minutes', async t => {
    const mine = id()
    const first = JSON.parse((await asAgent(b, wish({ id: mine, for: 'test@emiliano.test' }))).lines[0]!) as {
      credential: { values: { user: string } }
    }
    const again = JSON.parse(
      (await asAgent(b, wish({ id: mine, for: 'test@emiliano.test' }))).lines[0]!,
    ) as typeof first
    t.same(again.credential, first.credential, 'a repeat returns the same one')
    const second = JSON.parse(
      (await asAgent(b, wish({ id: mine, for: 'test@emiliano.test', gen: 2, rotate: true }))).lines[0]!,
    ) as typeof first
    t.not(second.credential.values.user, first.credential.values.user)
    t.ok(a.kernel.issued.get(first.credential.values.user), 'both are valid')
    t.ok(a.kernel.issued.get(second.credential.values.user))
    t.ok((a.kernel.issued.get(first.credential.values.user)?.until ?? 0) > Date.now() + 590_000)
  })

  await t.test('H4 a user of another domain is refused, and a domain of our own', async t => {
    const session = {
      kernel: a.kernel,
      peer: { address: '127.0.0.1', tls: null, loopback: true },
      gone: new AbortController(),
    } as never
    t.match(await admit(session, { type: 'user', principal: 'alice@emiliano.test' }), /no domain of ours/)
    t.match(await admit(session, { type: 'user', principal: 'alice' }), /no domain of ours/)
    t.match(await admit(session, { type: 'domain', principal: 'unix.test', level: 'dnssec' }), /our own/)
    t.match(await admit(session, { type: 'domain', principal: 'stranger.test', level: 'dns' }), /level dns/)
  })

  await t.test('H7 what stood on a right ends with it: revoke, visibility, account', async t => {
    await owner.ok('CREATE FLOW granted.flows.unix.test')
    await owner.ok('GRANT read,subscribe ON FLOW granted.flows.unix.test TO *@emiliano.test')
    const user = await b.login(t)
    const sub = await user.ok('SUBSCRIBE granted.flows.unix.test LOCAL g.flows.emiliano.test')
    const [name] = /[a-z2-7]{26}/.exec(sub.lines[0]!)!
    await owner.ok('REVOKE read,subscribe ON FLOW granted.flows.unix.test FROM *@emiliano.test')
    const s = a.kernel.resources.get('Subscriber', name)
    t.equal(s?.status.phase, 'revoked', 'REVOKE answers when it is cut')
    t.match(s?.status.cut, { sessions: String, credential: String }, 'with a receipt')
    await eventually(
      b,
      () => (b.kernel.resources.get('Subscription', name)?.status.phase === 'revoked' ? true : undefined),
      'revoked at the subscriber',
    )
    t.match(await owner.say('REVOKE read ON FLOW granted.flows.unix.test FROM *@emiliano.test'), { symbol: 'NOTFOUND' })

    await owner.ok('CREATE FLOW open.flows.unix.test VISIBILITY public')
    const open = await user.ok('SUBSCRIBE open.flows.unix.test LOCAL o.flows.emiliano.test')
    const [second] = /[a-z2-7]{26}/.exec(open.lines[0]!)!
    await owner.ok('UPDATE FLOW open.flows.unix.test VISIBILITY private')
    t.equal(a.kernel.resources.get('Subscriber', second)?.status.phase, 'revoked')

    await a.addUser('bob', 'a long password')
    const bob = await Raw.open(t, a.port)
    await bob.login('bob', 'a long password')
    const sasl = a.kernel.loaded.find(l => l.plugin.id === 'auth-sasl')!.service as never as {
      admin: { name: string; run(a: string[], i: object, c: object): Promise<unknown> }[]
    }
    await sasl.admin
      .find(x => x.name === 'user passwd')!
      .run(['bob'], { password: 'another long one' }, { signal: AbortSignal.timeout(5000) })
    t.match(await bob.rest(), /^421 CLOSING/, 'the session of an account whose password changed is cut')
  })

  await t.test(
    'H7 who came by visibility and is removed is barred, its whole domain, until a GRANT names it',
    async t => {
      const name = 'barred.flows.unix.test'
      const bars = () => a.kernel.resources.list('Grant').filter(g => g.spec.on.name === name && g.spec.deny).length
      await b.addUser('dave', 'a long password')
      const user = await b.login(t)
      await user.ok('GRANT manage ON NAMESPACE flows.emiliano.test TO dave@emiliano.test')
      const dave = await b.login(t, 'dave', 'a long password')
      const subscribe = (who: typeof user, local: string) =>
        who.say(`SUBSCRIBE ${name} LOCAL ${local}.flows.emiliano.test`)
      await owner.ok(`CREATE FLOW ${name} VISIBILITY public`)
      t.match(await subscribe(user, 'b1'), { kind: 'data' })
      await owner.ok(`REMOVE SUBSCRIBER ${name} test@emiliano.test`)
      const { lines } = await owner.ok(`GET GRANTS ON FLOW ${name}`)
      t.same(
        lines.map(line => line.replace(/^grant=\S+ /, '')).sort(),
        ['*@emiliano.test', 'emiliano.test'].map(to => `on=flow:${name} to=${to} rights=none`),
      )
      await owner.ok(`GRANT read,subscribe ON FLOW ${name} TO *`)
      t.match(await subscribe(dave, 'b2'), { symbol: 'NOTFOUND' }, 'what all may, it may not')
      await owner.ok(`GRANT read,subscribe ON FLOW ${name} TO test@emiliano.test`)
      await user.ok('UNSUBSCRIBE b1.flows.emiliano.test')
      t.match(await subscribe(user, 'b1'), { kind: 'data' }, 'who is named may')
      t.match(await subscribe(dave, 'b2'), { symbol: 'NOTFOUND' }, 'and nobody else of its domain')
      await owner.ok(`GRANT read,subscribe ON FLOW ${name} TO *@emiliano.test`)
      t.equal(bars(), 0)
      t.match(await subscribe(dave, 'b2'), { kind: 'data' })
      for (const rights of ['*@emiliano.test', '*'])
        await owner.ok(`REVOKE read,subscribe ON FLOW ${name} FROM ${rights}`)
      await dave.ok('UNSUBSCRIBE b2.flows.emiliano.test')
      t.match(await subscribe(dave, 'b3'), { kind: 'data' }, 'by visibility again')
      await owner.ok(`REMOVE SUBSCRIBER ${name} dave@emiliano.test`)
      t.equal(bars(), 2)
      await owner.ok(`DELETE FLOW ${name}`)
      t.equal(bars(), 0, 'a bar goes with its flow')
    },
  )

  await t.test('H9 requests without a grant are bounded; the tombstone of an unknown ID is short', async t => {
    await owner.ok('CREATE FLOW ask.flows.unix.test REQUESTS yes')
    const ask = (n: string) =>
      asAgent(
        b,
        formatCommand(
          'SUBSCRIBE',
          { flow: 'ask.flows.unix.test' },
          { id: n, gen: 1, accept: ['fnap'], for: 'test@emiliano.test', reason: 'please' },
        ),
      )
    const ids = [id(), id(), id()]
    for (const n of ids) t.equal((await ask(n)).kind, 'pending')
    t.match(await ask(id()), { code: 429, symbol: 'QUOTA' }, 'three open requests a flow')
    const requests = await owner.ok('GET REQUESTS ask.flows.unix.test')
    t.equal(requests.lines.length, 3)
    t.match(requests.lines[0], /who=test@emiliano\.test level=dns .*reason=please/)
    await owner.ok(`DENY ${ids[0]} REASON no`)
    t.match(await ask(ids[0]!), { code: 410 })
    t.match(await ask(id()), { symbol: 'DENIED' }, 'a denied one asks again after thirty days')
    const unknown = id()
    t.equal((await asAgent(b, formatCommand('UNSUBSCRIBE', { flow: FLOW }, { id: unknown, gen: 3 }))).kind, 'ok')
    const tomb = a.kernel.resources.get('Subscriber', unknown)
    t.ok(Date.parse(tomb!.status.forget!) - Date.now() <= 3_600_000)
    t.match(await asAgent(b, wish({ id: unknown, for: 'test@emiliano.test', gen: 5 })), { code: 410 })
  })

  await t.test('H10 foreign names are relayed for a logged-in user only, written anew', async t => {
    const user = await b.login(t)
    t.same((await user.ok(`DESCRIBE FLOW ${FLOW}`)).lines.slice(0, 3), [`flow=${FLOW}`, 'type=fnap', `topic=${FLOW}`])
    const flows = await user.ok('GET FLOWS flows.unix.test')
    t.ok(flows.lines.includes(`flow=${FLOW}`))
    t.notOk(flows.lines.includes('flow=secret.flows.unix.test'))
    t.match(await user.say('DESCRIBE FLOW secret.flows.unix.test'), { symbol: 'NOTFOUND' })
    t.match(await asAgent(b, 'DESCRIBE FLOW time.flows.emiliano.test'), { symbol: 'NOTFOUND' }, 'not for an agent')
    t.match(await user.say(`READ FLOW ${FLOW}`), { symbol: 'NOTFOUND' }, 'READ is not relayed')
  })

  await t.test("H11 a private alias is its user's alone, and no source", async t => {
    const user = await b.login(t)
    await b.addUser('carol', 'carols password')
    const carol = await b.login(t, 'carol', 'carols password')
    const reply = await user.ok(`SUBSCRIBE ${FLOW} LOCAL emiliano.test-${FLOW}`)
    t.match(reply.lines[0], new RegExp(`^emiliano.test-${FLOW} SUBSCRIBED TO `))
    await owner.write(FLOW, 'aliased')
    t.same(await user.follow(`emiliano.test-${FLOW}`, 1, { from: { at: 'earliest' } }), ['aliased'])
    t.match((await user.ok(`DESCRIBE FLOW emiliano.test-${FLOW} FULL`)).lines.join(' '), /alias=yes/)
    t.equal((await carol.say(`READ FLOW emiliano.test-${FLOW}`)).symbol, 'NOTFOUND')
    t.equal(
      (await user.say(`SUBSCRIBE emiliano.test-${FLOW} LOCAL x.flows.emiliano.test`)).kind,
      'error',
      'never the source of SUBSCRIBE',
    )
    t.equal(
      (await user.say(`GRANT read ON FLOW emiliano.test-${FLOW} TO *@unix.test`)).symbol,
      'NOTFOUND',
      'never in GRANT',
    )
    await user.ok(`UNSUBSCRIBE emiliano.test-${FLOW}`)
    t.equal((await user.say(`READ FLOW emiliano.test-${FLOW}`)).symbol, 'NOTFOUND')
  })
})

t.test('private by default: what may not be seen answers as what does not exist', async t => {
  const a = await single(t)
  const owner = await a.login(t)
  await a.addUser('eve', 'eves password')
  const eve = await a.login(t, 'eve', 'eves password')
  await owner.ok('CREATE FLOW secret.flows.unix.test')
  for (const line of [
    'DESCRIBE FLOW %',
    'READ FLOW %',
    'GET SUBSCRIBERS %',
    'UPDATE FLOW % VISIBILITY public',
    'DELETE FLOW %',
    'SUBSCRIBE % LOCAL x.y.z',
    'ACCESS FLOW % READ',
    'GRANT read ON FLOW % TO eve@unix.test',
  ]) {
    const [hidden, absent] = [
      await eve.say(line.replace('%', 'secret.flows.unix.test')),
      await eve.say(line.replace('%', 'absent.flows.unix.test')),
    ]
    t.same([hidden.code, hidden.symbol, hidden.text], [absent.code, absent.symbol, absent.text], line)
    t.equal(hidden.code, 404)
  }
  t.match(await eve.say('CREATE FLOW mine.flows.unix.test'), { code: 404 })
  await owner.ok('GRANT describe ON FLOW secret.flows.unix.test TO eve@unix.test')
  t.equal((await eve.ok('DESCRIBE FLOW secret.flows.unix.test')).lines.length, 4)
  t.match(await eve.say('READ FLOW secret.flows.unix.test'), { code: 403, symbol: 'DENIED' })
})
