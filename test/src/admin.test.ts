import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuthService } from '@fnaa/core'
import t from 'tap'
import { ADMIN_HELP } from '../../core/dist/bin/admin-help.js'
import { AdminSocket, askAgent } from '../../core/dist/server/admin-socket.js'
import { pair, single, type TestAgent } from './support/agents.js'
import { FNAAD } from './support/process.js'
import { ROOT, shell } from './support/start.js'

t.test('help of user and key says what the plugins say of themselves', async t => {
  const a = await single(t)
  const all = a.kernel.loaded
    .filter(l => l.plugin.manifest.kind === 'auth')
    .flatMap(l => (l.service as AuthService).admin.map(({ usage, summary }) => ({ usage, summary })))
  t.same(all, [...ADMIN_HELP.user, ...ADMIN_HELP.key])
  const help = await shell(`${process.execPath} ${FNAAD} user add --help`)
  t.match(help, { code: 0, out: / {2}user add NAME\[@DOMAIN\] +make an account.*\n {2}user list +list the accounts\n/ })
  t.match(help.out, /is the first line of standard input:\n {2}fnaad user add alice\n/)
  const key = await shell(`${process.execPath} ${FNAAD} key --help`)
  t.match(key, { code: 0, out: / {2}key revoke SELECTOR +publish a key as revoked/ })
})

/** `fnaad sessions`, as the running agent answers it: the cells of each line. */
async function sessions(agent: TestAgent, ...args: string[]): Promise<string[][]> {
  const lines = await askAgent(agent.kernel.config.data, { name: 'sessions', args })
  return (lines ?? []).map(line => line.split(/ {2,}/))
}

t.test('sessions: who reads and writes what, since when, users of others too', async t => {
  const { a, b } = await pair(t)
  const admin = await AdminSocket.open(a.kernel)
  t.teardown(() => admin.close())
  await a.addUser('eve', 'eve-has-a-password')
  const owner = await a.login(t)
  await owner.ok('CREATE FLOW x.flows.unix.test VISIBILITY public')
  const reader = await a.login(t, 'eve', 'eve-has-a-password')
  const stream = await reader.connection.readLines('READ FLOW x.flows.unix.test FROM earliest FOLLOW')
  await owner.write('x.flows.unix.test', 'one')
  await stream.next()
  const subscriber = await b.login(t)
  const [line] = (await subscriber.ok('SUBSCRIBE x.flows.unix.test LOCAL x.flows.emiliano.test')).lines
  const endpoint = line!.split(' ').at(-1)!
  await owner.write('x.flows.unix.test', 'two')
  await subscriber.follow('x.flows.emiliano.test', 1, { from: { at: 'earliest' } })
  const [header, ...rows] = await sessions(a)
  t.same(header, ['ID', 'USER', 'ADDRESS', 'COMMAND', 'FLOW', 'SINCE'])
  const since = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
  const [own, eve] = rows
  t.match(own, [/^\d+$/, 'test@unix.test', '127.0.0.1', '-', '-', since])
  t.match(eve, [/^\d+$/, 'eve@unix.test', '127.0.0.1', 'READ', 'x.flows.unix.test', since])
  const [, ...of] = await sessions(a, 'X.flows.unix.test')
  t.match(of, [eve, [/^\d+$/, 'test@emiliano.test', '127.0.0.1', 'READ', endpoint, since]], 'those of a flow')
  await stream.stop()
  while (!(await stream.next()).done);
  await reader.ok('NOOP')
  t.notOk(
    (await sessions(a, 'x.flows.unix.test')).some(r => r[1] === 'eve@unix.test'),
    'it has ended',
  )
  await t.rejects(sessions(a, 'no name'), /is no name of a flow/)
})

t.test('without a running agent there are none', async t => {
  const cwd = await mkdtemp(join(tmpdir(), 'fnaad-'))
  t.teardown(() => rm(cwd, { recursive: true }))
  const ran = await shell(
    `cd ${cwd} && ${process.execPath} ${FNAAD} --config ${join(ROOT, 'fnaad.config.ts')} sessions`,
  )
  t.match(ran, {
    code: 1,
    out: '',
    err: /^error: no agent runs with \S+fnaad\.config\.ts; one that was started with other --data or --domains is asked by .*\n$/,
  })
})
