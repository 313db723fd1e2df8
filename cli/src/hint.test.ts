import t from 'tap'
import { asTyped } from './hint.js'

t.test('a hint is a command that works as it is typed', async t => {
  const cwd = t.testdir({ node_modules: { '.bin': { fnua: '' } } })
  const at = { cwd, env: {} }
  const given = { config: 'my flow.yml', nameserver: '127.0.0.1:53', tls: true, user: undefined, debug: true }
  const all = "npx fnua --config 'my flow.yml' --nameserver 127.0.0.1:53 --tls"
  for (const [hint, as] of [
    ['fnua get flows', `${all} get flows`],
    ['fnua --agent x login', `${all} --agent x login`],
    ['subscribe first: fnua subscribe a.b', `subscribe first: ${all} subscribe a.b`],
    ['fnua whoami, and ask the owner', `${all} whoami, and ask the owner`],
    ['fnua login --agent a.b, or fnua help config', `${all} login --agent a.b, or npx fnua help config`],
    ['fnua help', 'npx fnua help'],
    ['the same command with -d', 'the same command with -d'],
  ] as const)
    t.equal(asTyped(hint, given, at), as)
  t.equal(
    asTyped('fnua --agent x login', { agent: 'y' }, at),
    'npx fnua --agent x login',
    'what it says itself goes before',
  )
  const piped = asTyped('fnua --agent x login', { user: 'alice', passwordStdin: true }, at)
  t.equal(piped, 'npx fnua --user alice --password-stdin --agent x login', 'the password comes as it came')
  t.equal(asTyped('fnua get flows', { agent: 'y' }, { cwd: '/', env: {} }), 'fnua --agent y get flows')
})
