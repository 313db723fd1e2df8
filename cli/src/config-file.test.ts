import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { candidates, loadConfig, NO_CONFIG, parseConfig } from './config-file.js'
import { storeAgent } from './config-write.js'
import { EXIT } from './errors.js'

const THESIS = `agents:
  - name: fnaa-unix
    fqdn: fnaa.unix.ar
    username: test
    password: test
    prefix: unix.ar-
namespaces:
  - name: flows.unix.ar
    agent: fnaa-unix
`

t.test("the thesis's file loads unchanged", async t => {
  const config = await parseConfig(THESIS, '/x/.flow.yml')
  t.same(config.agents, [
    { name: 'fnaa-unix', fqdn: 'fnaa.unix.ar', username: 'test', password: 'test', prefix: 'unix.ar-' },
  ])
  t.same(config.namespaces, [{ name: 'flows.unix.ar', agent: 'fnaa-unix' }])
  t.same(config.warnings, [])
})

t.test('values that YAML makes numbers of, names with a dot, unknown keys', async t => {
  const text = 'agents:\n  - fqdn: FNAA.Unix.AR.\n    username: 7\n    password: 007\n    colour: red\n    ca: ca.pem\n'
  const config = await parseConfig(text, '/x/.flow.yml')
  t.match(config.agents[0], { name: 'fnaa.unix.ar', fqdn: 'fnaa.unix.ar', username: '7', ca: '/x/ca.pem' })
  t.match(config.warnings, [/^\/x\/\.flow\.yml: agents\.0\.colour means nothing: agents have name, fqdn,/])
  t.match(await parseConfig('', '/x/.flow.yml'), { agents: [], namespaces: [] })
})

t.test('what is wrong is said with its place', async t => {
  const bad: [string, RegExp][] = [
    ['agents:\n   name: fnaa-unix\n    fqdn: x\n', /^config \/x\/f\.yml:\d+:\d+: /],
    ['agents:\n  name: fnaa-unix\n', /agents is a list, each entry begins with "- "/],
    ['agents:\n  - name: fnaa-unix\n', /agents\.0\.fqdn is missing/],
    ['agents:\n  - fqdn: x.ar\n    tls: maybe\n', /agents\.0\.tls is required or implicit/],
    ['- a\n', /must be a mapping/],
  ]
  for (const [text, message] of bad) await t.rejects(parseConfig(text, '/x/f.yml'), { exit: EXIT.usage, message }, text)
})

t.test('warnings', async t => {
  const lost = await parseConfig('namespaces:\n  - name: x.ar\n    agent: nobody\n', '/x/f.yml')
  t.match(lost.warnings, [/names the agent nobody/])
  t.match((await parseConfig(THESIS, '/x/f.yml', 0o644)).warnings, [/others may read it/])
})

t.test('where the config is looked for', async t => {
  const dir = t.testdir({ a: { b: {} }, home: { '.flow.yml': 'agent: of-home\n' }, xdg: { fnua: {} } })
  const env = { HOME: join(dir, 'home'), XDG_CONFIG_HOME: join(dir, 'xdg') }
  const cwd = join(dir, 'a', 'b')
  t.equal((await loadConfig(undefined, cwd, env)).agent, 'of-home')
  writeFileSync(join(dir, 'xdg', 'fnua', 'config.yml'), 'agent: of-xdg\n')
  t.equal((await loadConfig(undefined, cwd, env)).agent, 'of-xdg')
  writeFileSync(join(dir, 'a', '.flow.yml'), 'agent: above\n')
  t.equal((await loadConfig(undefined, cwd, env)).agent, 'above', 'the nearest above goes first')
  t.equal((await loadConfig('../../home/.flow.yml', cwd, env)).agent, 'of-home', '--config is relative to here')
  await t.rejects(loadConfig('nothing.yml', cwd, env), { exit: EXIT.usage, message: /there is no such file/ })
  t.same(candidates('/a', { HOME: '/h' }), ['/a/.flow.yml', '/.flow.yml', '/h/.config/fnua/config.yml', '/h/.flow.yml'])
  t.same(NO_CONFIG.agents, [])
})

t.test('a login is kept for its owner alone, and leaves the rest of the file', async t => {
  const dir = t.testdir({})
  const file = join(dir, 'new', 'config.yml')
  const agent = { name: 'x', fqdn: 'fnaa.x.ar', username: 'u', password: 'p: "q"' }
  await storeAgent(file, agent)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match((await loadConfig(file, '/', {})).agents, [agent])
  mkdirSync(join(dir, 'old'))
  const old = join(dir, 'old', 'f.yml')
  writeFileSync(old, `# mine\n${THESIS}`, { mode: 0o644 })
  await storeAgent(old, { ...agent, name: 'fnaa-unix', fqdn: 'fnaa.unix.ar' })
  const text = readFileSync(old, 'utf8')
  t.match(text, /^# mine\n/)
  t.match(await loadConfig(old, '/', {}), { agents: [{ username: 'u', password: 'p: "q"', prefix: 'unix.ar-' }] })
  t.equal(statSync(old).mode & 0o777, 0o600)
})
