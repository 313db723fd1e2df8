import { testContext } from '@fnaa/conformance'
import t, { type Test } from 'tap'
import type { Found, PeerKeys } from './peer-keys.js'
import { Recheck } from './recheck.js'

const REVOKED: Found = { key: null, why: 'revoked', secure: true, revoked: true }
const proved = (fingerprint: string) => ({ fingerprint, secure: true })

/** Name servers of `evil.test` are silent, the others say `answer`; what went, and what was asked for, in order. */
function scene(t: Test, relied: readonly string[], answer: Found = REVOKED) {
  const ctx = testContext()
  const asked: string[] = []
  const gone: string[] = []
  const silent = new Set<() => void>()
  const lookUp = async (domain: string, selector: string) => {
    asked.push(`${selector} ${domain}`)
    if (!domain.endsWith('evil.test')) return answer
    await new Promise<void>(resolve => silent.add(resolve))
    throw new Error('no answer')
  }
  const keys = { lookUp } as unknown as PeerKeys
  const told = (domain: string, _key: string, why: string) => gone.push(`${domain} ${why}`)
  const recheck = new Recheck(ctx, keys, told, () => new Set(relied))
  /** Silence has lasted for its time. */
  const end = () => {
    for (const resolve of silent) resolve()
    silent.clear()
  }
  t.teardown(() => recheck.close())
  return { ctx, asked, gone, recheck, end, silent }
}

t.test('H21: slow keys of strangers delay none of a domain on which something hangs', async t => {
  const s = scene(t, ['good.test'])
  s.recheck.remember('good.test', 'k', proved('G'))
  for (let i = 0; i < 2000; i++) s.recheck.remember(`d${i}.evil.test`, 'k', proved('E'))
  const end = new AbortController()
  const look = s.recheck.look(end.signal)
  while (s.silent.size < 32) await new Promise(setImmediate)
  t.same(s.gone, ['good.test revoked'])
  t.equal(s.asked[0], 'k good.test', 'it came first')
  end.abort()
  s.end()
  await look
  t.equal(s.asked.length, 33, 'bounded at once')
})

t.test('H21: nor do those of another such domain: they take turns, and one has ten', async t => {
  const s = scene(t, ['good.test', 'evil.test'])
  for (let i = 0; i < 2000; i++) s.recheck.remember('evil.test', `s${i}`, proved('E'))
  s.recheck.remember('good.test', 'k', proved('G'))
  const look = s.recheck.look(new AbortController().signal)
  while (s.gone.length === 0) await new Promise(setImmediate)
  t.same(s.gone, ['good.test revoked'])
  t.equal(s.asked.indexOf('k good.test'), 1)
  t.equal(s.asked.filter(name => name.endsWith('evil.test')).length, 10)
  t.ok(s.asked.includes('s0 evil.test'), 'those that were there first are not hidden by later ones')
  s.end()
  await look
})

t.test('H21: a flood of strangers displaces strangers', async t => {
  const s = scene(t, ['good.test'])
  s.recheck.remember('good.test', 'k', proved('G'))
  s.recheck.remember('first.test', 'k', proved('F'))
  for (let i = 0; i < 10_001; i++) s.recheck.remember(`d${i}.other.test`, 'k', proved('E'))
  await s.recheck.look(new AbortController().signal)
  t.equal(s.gone.length, 10_000)
  t.ok(s.gone.includes('good.test revoked'))
  t.notOk(s.gone.includes('first.test revoked'))
})

t.test('who was looked at longest ago comes first the next time', async t => {
  const s = scene(t, [])
  for (let i = 0; i < 40; i++) s.recheck.remember(`d${i}.evil.test`, 'k', proved('E'))
  const end = new AbortController()
  const look = s.recheck.look(end.signal)
  while (s.silent.size < 32) await new Promise(setImmediate)
  end.abort()
  s.end()
  await look
  const next = s.recheck.look(new AbortController().signal)
  while (s.silent.size < 32) await new Promise(setImmediate)
  t.equal(s.asked[32], 'k d32.evil.test')
  while (s.asked.length < 72) {
    s.end()
    await new Promise(setImmediate)
  }
  s.end()
  await next
})

t.test('an unsigned answer about a signed key revokes nothing for good', async t => {
  const s = scene(t, [], { ...REVOKED, secure: false })
  s.recheck.remember('good.test', 'k', proved('G'))
  await s.recheck.look(new AbortController().signal)
  t.same(s.gone, ['good.test gone'])
})
