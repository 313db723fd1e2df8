import { createHash } from 'node:crypto'
import type { AuthStep, Identity } from '@fnaa/core/plugin'
import { call } from '../harness.js'
import { accepting, admin, type Breakage, mechanism, runOf, type Steps, text } from './mutant-tools.js'

const USER: Identity = { type: 'user', principal: 'test@unix.test' }

/** Broken ways of checking passwords. */
export const passwordBreakages: readonly Breakage[] = [
  [
    'any password of a known user lets in',
    'PLAIN',
    accepting('PLAIN', async (e, input, c) => {
      const step = await e.step(input, c)
      return step.type === 'reject' && /\0test\0./.test(text(input)) ? { type: 'accept', identity: USER } : step
    }),
  ],
  [
    'a failure lets in',
    'SCRAM-SHA-256',
    accepting('SCRAM-SHA-256', (e, input, c) => e.step(input, c).catch(() => ({ type: 'accept', identity: USER }))),
  ],
  [
    'an unknown user is refused at once',
    'SCRAM-SHA-256',
    accepting('SCRAM-SHA-256', (e, input, c) =>
      /n=ghost/.test(text(input)) ? Promise.resolve({ type: 'reject', log: 'unknown' }) : e.step(input, c),
    ),
  ],
  [
    'an unknown user has fewer rounds',
    'SCRAM-SHA-256',
    accepting('SCRAM-SHA-256', async (e, input, c) => {
      const step = await e.step(input, c)
      if (step.type !== 'challenge' || !/n=ghost/.test(text(input))) return step
      return { ...step, data: Buffer.from(text(step.data).replace(/i=\d+$/, 'i=4097')) }
    }),
  ],
  [
    'the salt of an unknown user changes',
    'SCRAM-SHA-256',
    accepting('SCRAM-SHA-256', async (e, input, c) => {
      const step = await e.step(input, c)
      if (step.type !== 'challenge' || !/n=ghost/.test(text(input))) return step
      const salt = createHash('md5').update(text(step.data)).digest('base64')
      return { ...step, data: Buffer.from(text(step.data).replace(/s=[^,]+/, `s=${salt}`)) }
    }),
  ],
  [
    'a finished exchange goes on letting in',
    'SCRAM-SHA-256',
    s => {
      let last: AuthStep | null = null
      return accepting('SCRAM-SHA-256', async (e, input, c, n) => {
        if (n > 1 && last?.type === 'accept') return last
        const step = await e.step(input, c)
        last = step
        return step
      })(s)
    },
  ],
  [
    'a proof that was seen once lets in again',
    'SCRAM-SHA-256',
    s => {
      const seen = new Map<string, AuthStep>()
      return accepting('SCRAM-SHA-256', async (e, input, c) => {
        const step = await e.step(input, c)
        const key = text(input)
        if (step.type === 'accept') seen.set(key, step)
        return step.type === 'reject' ? (seen.get(key) ?? step) : step
      })(s)
    },
  ],
  [
    'the server does not prove itself',
    'SCRAM-SHA-256',
    accepting('SCRAM-SHA-256', async (e, input, c) => {
      const step = await e.step(input, c)
      return step.type === 'accept' ? { type: 'accept', identity: step.identity } : step
    }),
  ],
  [
    'the channel is not looked at',
    'SCRAM-SHA-256-PLUS',
    s => {
      // As if every channel had the exporter that the client claims.
      let claimed: Uint8Array = new Uint8Array()
      const learn: Steps = (e, input, c) => {
        const bound = /^c=([^,]+),/.exec(text(input))?.[1]
        if (bound) claimed = Buffer.from(bound, 'base64').subarray('p=tls-exporter,,'.length)
        return e.step(input, c)
      }
      return accepting('SCRAM-SHA-256-PLUS', learn, p => ({ ...p, tls: { ...p.tls!, exporter: () => claimed } }))(s)
    },
  ],
  [
    'a suppressed offer is not noticed',
    'SCRAM-SHA-256-PLUS',
    accepting(
      'SCRAM-SHA-256',
      (e, input, c) => e.step(input, c),
      p => ({ ...p, tls: p.tls && { ...p.tls, version: 'TLSv1.2' } }),
    ),
  ],
  [
    'an issued credential is let in as a user',
    'SCRAM-SHA-256',
    accepting('SCRAM-SHA-256', async (e, input, c) => {
      const step = await e.step(input, c)
      return step.type === 'accept' && step.identity.type === 'issued'
        ? { ...step, identity: { ...step.identity, type: 'user' } }
        : step
    }),
  ],
  [
    'the kernel is not asked for issued credentials',
    'SCRAM-SHA-256',
    s => mechanism('SCRAM-SHA-256', m => ({ ...m, accept: p => m.accept(p, { verifier: async () => null }) }))(s),
  ],
  [
    'a user of one domain is let in as one of another',
    'PLAIN',
    accepting('PLAIN', (e, input, c) => e.step(input && Buffer.from(text(input).replace('@elsewhere.example', '')), c)),
  ],
  [
    'authzid is believed',
    'PLAIN',
    accepting('PLAIN', async (e, input, c) => {
      const [authzid, ...rest] = text(input).split('\0')
      const step = await e.step(input && Buffer.from(['', ...rest].join('\0')), c)
      return step.type === 'accept' && authzid
        ? { ...step, identity: { ...step.identity, principal: `${authzid}@unix.test` } }
        : step
    }),
  ],
  [
    'the old password goes on working',
    'PLAIN',
    admin('user passwd', (s, args, password, c) =>
      args.length === 1 && password ? Promise.resolve([]) : runOf(s, 'user passwd')(args, {}, c),
    ),
  ],
  ['who watches is not told', 'PLAIN', () => ({ watch() {} })],
  [
    'an empty password is taken',
    'PLAIN',
    admin('user add', (s, args, password, c) => runOf(s, 'user add')(args, { password: password || 'x' }, c)),
  ],
  [
    'an account is replaced in silence',
    'PLAIN',
    admin('user add', async (s, args, password, c) => {
      const input = password === undefined ? {} : { password }
      try {
        return await runOf(s, 'user add')(args, input, c)
      } catch (e) {
        if ((e as { code?: string }).code === 'FNA_ERR_EXISTS') return runOf(s, 'user passwd')(args, input, c)
        throw e
      }
    }),
  ],
  [
    'accounts are gone after a restart',
    'PLAIN',
    s => ({
      async close() {
        for (const line of await runOf(s, 'user list')([], {}, call())) {
          await runOf(s, 'user remove')([line.split(' ')[0]!], {}, call())
        }
        await s.close()
      },
    }),
  ],
  [
    'an anonymous one chooses a name',
    'ANONYMOUS',
    accepting('ANONYMOUS', async (e, input, c) => {
      const step = await e.step(input, c)
      return step.type === 'accept' ? { ...step, identity: { type: 'user', principal: text(input) } } : step
    }),
  ],
]
