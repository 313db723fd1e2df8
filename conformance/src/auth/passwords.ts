import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Accounts, AuthStep, PeerInfo } from '@fnaa/core/plugin'
import { mintId } from '@fnaa/protocol'
import { fails } from '../suite.js'
import { scramTurn, scramVerifier } from './scram-client.js'
import {
  type AuthCase,
  type AuthHarness,
  bytes,
  challenge,
  kept,
  neverAccepts,
  nobody,
  offers,
  peer,
  refused,
  text,
} from './tools.js'

const PASSWORD = 'correct horse battery'
const ME = 'test@unix.test'
type Login = (x: AuthHarness, user: string, password: string) => Promise<AuthStep>

const plain: Login = (x, user, password) => x.accept('PLAIN').step(bytes(`\0${user}\0${password}`), x.c)

interface ScramOptions {
  readonly name?: string
  readonly gs2?: string
  readonly binding?: Uint8Array
  readonly at?: PeerInfo
  readonly issued?: Accounts
}

async function scram(x: AuthHarness, user: string, password: string, o: ScramOptions = {}): Promise<AuthStep> {
  const exchange = x.accept(o.name ?? 'SCRAM-SHA-256', o.at ?? peer(), o.issued ?? nobody)
  const turn = scramTurn({
    user,
    password,
    ...(o.gs2 ? { gs2: o.gs2 } : {}),
    ...(o.binding ? { binding: o.binding } : {}),
  })
  const first = await exchange.step(bytes(turn.first), x.c)
  if (first.type !== 'challenge') return first
  const { final, signature } = turn.answer(text(first.data))
  const last = await exchange.step(bytes(final), x.c)
  if (last.type === 'accept') assert.equal(text(last.data), signature, 'the server proves that it knows the verifier')
  return last
}

function isMe(step: AuthStep): void {
  assert.equal(step.type, 'accept', step.type === 'reject' ? step.log : '')
  assert.deepEqual((step as { identity: object }).identity, { type: 'user', principal: ME })
}

/** The same cases for each way of sending a password. */
const ofPassword = (name: string, login: Login): AuthCase[] => [
  {
    name: `${name}: the right password lets in, as a user of this participant`,
    needs: offers(name),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      isMe(await login(x, 'test', PASSWORD))
      isMe(await login(x, ME, PASSWORD))
    },
  },
  {
    name: `${name}: nothing else does`,
    needs: offers(name),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      for (const wrong of ['', 'wrong', PASSWORD.slice(1), `${PASSWORD} `, PASSWORD.toUpperCase(), `${PASSWORD}x`]) {
        refused(await login(x, 'test', wrong), JSON.stringify(wrong))
      }
      for (const user of [
        'ghost',
        'test2',
        'test@elsewhere.example',
        'test@test',
        'test@',
        '@unix.test',
        '*',
        'test@unix.test@unix.test',
      ]) {
        refused(await login(x, user, PASSWORD), user)
      }
    },
  },
  {
    name: `${name}: a new password ends the old one, a removed account all; who watches is told (H7)`,
    needs: offers(name),
    async run(x) {
      const changed: string[] = []
      x.service.watch(principal => changed.push(principal))
      await x.admin('user add', ['test'], PASSWORD)
      assert.deepEqual(changed, [])
      await x.admin('user passwd', ['test'], `new ${PASSWORD}`)
      assert.deepEqual(changed, [ME])
      refused(await login(x, 'test', PASSWORD), 'the old password')
      isMe(await login(x, 'test', `new ${PASSWORD}`))
      await x.admin('user remove', ['test'])
      assert.deepEqual(changed, [ME, ME])
      refused(await login(x, 'test', `new ${PASSWORD}`), 'a removed account')
    },
  },
  {
    name: `${name}: accounts outlive a restart, passwords are not kept`,
    needs: offers(name),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      await login(x, 'test', 'a wrong password')
      assert.ok(!(await kept(x)).includes(PASSWORD))
      await x.restart()
      isMe(await login(x, 'test', PASSWORD))
      assert.ok(!JSON.stringify(x.logged).includes(PASSWORD))
    },
  },
]

/** Accounts with passwords: PLAIN and SCRAM. */
export const passwordCases: readonly AuthCase[] = [
  ...ofPassword('PLAIN', plain),
  ...ofPassword('SCRAM-SHA-256', scram),
  {
    name: 'accounts are made, listed and refused as they should be',
    needs: s => s.mechanisms.some(m => m === 'PLAIN' || m === 'SCRAM-SHA-256'),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      await fails('FNA_ERR_EXISTS', () => x.admin('user add', [ME], PASSWORD))
      await fails('FNA_ERR_INVALID', () => x.admin('user add', ['zoe'], ''))
      await fails('FNA_ERR_INVALID', () => x.admin('user add', ['zoe']))
      for (const bad of [
        '',
        'x y',
        'a\r\nb',
        '../x',
        'zoe@elsewhere.example',
        'a'.repeat(65),
        mintId(randomBytes(16)),
      ]) {
        await fails('FNA_ERR_INVALID', () => x.admin('user add', [bad], PASSWORD))
      }
      await fails('FNA_ERR_NOTFOUND', () => x.admin('user remove', ['zoe']))
      await fails('FNA_ERR_NOTFOUND', () => x.admin('user passwd', ['zoe'], PASSWORD))
      const list = await x.admin('user list', [])
      assert.equal(list.length, 1)
      assert.ok(list[0]?.includes(ME))
    },
  },
  {
    name: 'PLAIN: an exchange without initial response asks for one, and ends with one answer',
    needs: offers('PLAIN'),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      const exchange = x.accept('PLAIN')
      assert.equal(challenge(await exchange.step(null, x.c)), '')
      isMe(await exchange.step(bytes(`\0test\0${PASSWORD}`), x.c))
      await neverAccepts(exchange.step(bytes(`\0test\0${PASSWORD}`), x.c), 'a second time')
    },
  },
  {
    name: 'PLAIN: nobody acts as somebody else',
    needs: offers('PLAIN'),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      await x.admin('user add', ['root'], `other ${PASSWORD}`)
      refused(await x.accept('PLAIN').step(bytes(`root\0test\0${PASSWORD}`), x.c), 'authzid')
      isMe(await x.accept('PLAIN').step(bytes(`test\0test\0${PASSWORD}`), x.c))
    },
  },
  {
    name: 'SCRAM: an unknown user is asked as a known one is',
    needs: offers('SCRAM-SHA-256'),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      const look = async (user: string) => {
        const step = await x.accept('SCRAM-SHA-256').step(bytes(`n,,n=${user},r=0123456789abcdefghij`), x.c)
        return challenge(step).replace(/^r=[^,]+,/, '')
      }
      const [known, ghost, again, other] = [
        await look('test'),
        await look('ghost'),
        await look('ghost'),
        await look('other'),
      ]
      const form = (t: string) => [t.length, /i=(\d+)$/.exec(t)?.[1]]
      assert.deepEqual(form(ghost), form(known), 'length of the salt, and rounds')
      assert.equal(ghost, again, 'a salt that stays')
      assert.notEqual(ghost, other)
      assert.ok(Number(form(known)[1]) >= 4096, 'RFC 7677 §4')
    },
  },
  {
    name: 'SCRAM: what was said once is worth nothing again',
    needs: offers('SCRAM-SHA-256'),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      const turn = scramTurn({ user: 'test', password: PASSWORD, nonce: '0123456789abcdefghij' })
      const first = x.accept('SCRAM-SHA-256')
      const serverFirst = challenge(await first.step(bytes(turn.first), x.c))
      assert.ok(serverFirst.startsWith('r=0123456789abcdefghij') && !serverFirst.startsWith('r=0123456789abcdefghij,'))
      const { final } = turn.answer(serverFirst)
      isMe(await first.step(bytes(final), x.c))
      await neverAccepts(first.step(bytes(final), x.c), 'in the same exchange')
      const second = x.accept('SCRAM-SHA-256')
      assert.notEqual(challenge(await second.step(bytes(turn.first), x.c)), serverFirst, 'a fresh nonce')
      await neverAccepts(second.step(bytes(final), x.c), 'in another exchange')
    },
  },
  {
    name: 'SCRAM-PLUS: the channel is part of the proof',
    needs: offers('SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'),
    async run(x) {
      await x.admin('user add', ['test'], PASSWORD)
      const exporter = randomBytes(32)
      const at = peer({}, exporter)
      const plus = { name: 'SCRAM-SHA-256-PLUS', gs2: 'p=tls-exporter,,', at }
      isMe(await scram(x, 'test', PASSWORD, { ...plus, binding: exporter }))
      refused(await scram(x, 'test', PASSWORD, { ...plus, binding: randomBytes(32) }), 'another channel')
      refused(await scram(x, 'test', PASSWORD, plus), 'no binding')
      refused(await scram(x, 'test', PASSWORD, { ...plus, gs2: 'n,,' }), 'a header without binding')
      refused(
        await scram(x, 'test', PASSWORD, { ...plus, gs2: 'p=tls-unique,,', binding: exporter }),
        'another kind of binding',
      )
      refused(
        await scram(x, 'test', PASSWORD, { ...plus, name: 'SCRAM-SHA-256', binding: exporter }),
        'binding without -PLUS',
      )
      refused(await scram(x, 'test', PASSWORD, { gs2: 'y,,', at }), 'the offer was suppressed on the way')
    },
  },
  {
    name: 'issued credentials: asked of the kernel, by SCRAM alone, and let in as issued',
    needs: offers('SCRAM-SHA-256'),
    async run(x) {
      const user = mintId(randomBytes(16))
      const verifier = scramVerifier(PASSWORD)
      const issued: Accounts = { verifier: async name => (name === user ? verifier : null) }
      const step = await scram(x, user, PASSWORD, { issued })
      assert.deepEqual((step as { identity?: object }).identity, { type: 'issued', principal: user })
      refused(await scram(x, user, 'wrong', { issued }), 'a wrong secret')
      refused(await scram(x, mintId(randomBytes(16)), PASSWORD, { issued }), 'one that was not issued')
      const away: Accounts = { verifier: () => Promise.reject(new Error('the store is away')) }
      assert.equal(await neverAccepts(scram(x, user, PASSWORD, { issued: away }), 'no answer'), 'threw')
      if (x.manifest.supports.mechanisms.includes('PLAIN')) {
        refused(await x.accept('PLAIN', peer(), issued).step(bytes(`\0${user}\0${PASSWORD}`), x.c), 'PLAIN')
      }
    },
  },
  {
    name: 'ANONYMOUS: anyone, as nobody',
    needs: offers('ANONYMOUS'),
    async run(x) {
      const step = await x.accept('ANONYMOUS').step(bytes('root@unix.test'), x.c)
      assert.equal(step.type, 'accept')
      assert.deepEqual((step as { identity: object }).identity, { type: 'anonymous', principal: 'anonymous' })
    },
  },
]
