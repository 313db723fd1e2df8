import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { folder } from './support/agents.js'
import { Start, shell, twoPorts } from './support/start.js'

/** What a new user meets: `npm start`, its advice typed as it stands, and what goes wrong when it is started again. */
let start: Start
let data: string
let port: number
let said: string
t.before(async () => {
  data = await folder(t)
  port = await twoPorts()
  start = new Start(['--port', String(port), '--data', data])
  t.teardown(() => start.stop())
  said = await start.until(/time\.flows\.emiliano\.test < /)
})

t.test('every command that npm start advises works as it is typed', async t => {
  const commands = [...said.matchAll(/^ {2}((?:echo hello \| )?npx .*)$/gm)].map(m => m[1] as string)
  t.equal(commands.length, 4, said)
  for (const [at, shows] of [/^$/, /"specversion"/, /emiliano\.test/, /time\.flows\.unix\.test/].entries()) {
    const done = await shell(commands[at] as string)
    t.match(done, { code: 0, out: shows }, `${commands[at]}\n${done.err}`)
  }
  t.match(said, new RegExp(`telnet 127\\.0\\.0\\.1 ${port}`))
})

t.test('a second npm start: who runs already, and how to run a pair beside it', async t => {
  const { code, out, err } = await new Start(['--port', String(port), '--data', data]).ended()
  t.equal(code, 1)
  t.equal(out, '')
  t.match(err, /error: already running: process \d+ holds \S+unix\.test\/store-lmdb since /)
  const pid = Number(/process (\d+) holds/.exec(err)?.[1])
  t.ok(existsSync(`/proc/${pid}`) || process.platform !== 'linux', 'it is the one that runs')
  const advised = /beside it: npm start -- (.*)$/m.exec(err)?.[1]?.split(' ') ?? []
  const second = new Start([...advised, '--json'])
  t.teardown(() => second.stop())
  t.match(await second.line(), { participants: [{ domain: 'unix.test' }, { domain: 'emiliano.test' }] }, 'as it says')
  await second.stop()
})

t.test('--fresh takes nothing away from a pair that runs', async t => {
  const { code, err } = await new Start(['--fresh', '--port', String(port), '--data', data]).ended()
  t.match({ code, err }, { code: 1, err: /already running/ })
  t.ok(existsSync(join(data, 'unix.test', 'store-lmdb')))
})

t.test('a port in use: which, by whom, and what to do', async t => {
  const { code, err } = await new Start(['--port', String(port), '--data', await folder(t)]).ended()
  t.equal(code, 1)
  t.match(err, new RegExp(`error: 127\\.0\\.0\\.1:${port}: the port is in use by `))
  if (process.platform === 'linux') t.match(err, /in use by process \d+ \(.*fnaad\.js dev --port/)
  t.match(err, /choose other ports: npm start -- --port \d+ --data/)
})

t.test('--data that is a file, ports and domains that are none: 2', async t => {
  const file = join(data, 'a-file')
  writeFileSync(file, '')
  for (const [args, message] of [
    [['--data', file], /error: --data is \S+a-file: it is a file; it must be a directory/],
    [['--port', '70000'], /error: --port is 70000: it must be 1 to 65534/],
    [['--domains', 'a.test'], /error: --domains is a\.test: it takes two different domains, such as/],
  ] as const) {
    const { code, err } = await new Start(args).ended()
    t.match({ code, err }, { code: 2, err: message })
    t.notMatch(err, /^ +at /m, 'no stack')
  }
})

t.test('words that are no command: what there is, and the nearest', async t => {
  for (const [line, message] of [
    [
      'npx fnaad frob',
      /^error: unknown command 'frob': there are run, check, dev, user, key, sessions, doctor\ntry: npx fnaad --help\n$/,
    ],
    ['npx fnaad chekc', /^error: unknown command 'chekc': did you mean check\?/],
    ['npx fnaad user lst', /^error: there is no user lst: did you mean user list\? there are user add, /],
  ] as const)
    t.match(await shell(line), { code: 2, out: '', err: message }, line)
  const help = await shell('npx fnaad --help')
  t.match(help, { code: 0, out: /Exit codes: 0 done; 1 failed.*; 2 wrong usage or wrong config\./ })
  t.match(await shell('npx fnua --help'), { code: 0, out: /Exit codes: 0 done, 1 failed, 2 .*, 130 Ctrl-C\.\n$/ })
})

const IDS = /^[a-z2-7]{26}$/
/** What `--json` says of one. */
const participant = (domain: string) => ({
  domain,
  agent: { host: `fnaa.${domain}`, port: Number },
  dns: { host: '127.0.0.1', port: Number },
  users: [{ name: 'test', password: 'test' }],
  namespace: `flows.${domain}`,
})

t.test('--json: one line when all is active, and no more', async t => {
  const json = new Start(['--port', String(await twoPorts()), '--data', await folder(t), '--json'])
  t.teardown(() => json.stop())
  const { participants } = (await json.line()) as { participants: readonly unknown[] }
  t.equal(participants.length, 2)
  t.match(participants[0], { ...participant('unix.test'), flows: ['time.flows.unix.test'], subscriptions: [] })
  t.match(participants[1], {
    ...participant('emiliano.test'),
    flows: ['time.flows.emiliano.test'],
    subscriptions: [{ id: IDS, source: 'time.flows.unix.test', local: 'time.flows.emiliano.test', phase: 'active' }],
  })
  t.equal((await json.stop()).split('\n').filter(Boolean).length, 1, 'one line on standard output, and no more')
})

t.test('fnaad dev --empty: no flows', async t => {
  const start = new Start([
    '--port',
    String(await twoPorts()),
    '--data',
    await folder(t),
    '--json',
    '--empty',
    '--domains',
    'a.test,b.test',
  ])
  t.teardown(() => start.stop())
  const { participants } = (await start.line()) as { participants: readonly unknown[] }
  t.match(participants, [
    { ...participant('a.test'), flows: [], subscriptions: [] },
    { ...participant('b.test'), flows: [], subscriptions: [] },
  ])
  t.equal((await start.stop()).split('\n').filter(Boolean).length, 1)
  t.equal(start.child.exitCode, 0, 'SIGTERM ends it in good order')
})
