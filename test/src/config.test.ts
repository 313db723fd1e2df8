import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { single, type Teardown } from './support/agents.js'
import { PLAIN } from './support/process.js'
import { Raw } from './support/raw.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FNAAD = join(ROOT, 'core/bin/fnaad.js')

function check(file: string): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    execFile('env', [...PLAIN, process.execPath, FNAAD, '--config', file, 'check'], (e, out, err) =>
      resolve({ code: e ? Number(e.code) : 0, out, err }),
    )
  })
}
/** A config beside the project's packages, so that its imports are found. */
async function config(t: Teardown, name: string, text: string): Promise<string> {
  const directory = join(ROOT, '.cache', `config-${process.pid}`)
  await mkdir(directory, { recursive: true })
  const file = join(directory, name)
  await writeFile(file, text)
  t.teardown(() => rm(file, { force: true }))
  return file
}
const IMPORTS = `import { defineConfig } from '@fnaa/core'
import storeLmdb from '@fnaa/store-lmdb'
import authSasl from '@fnaa/auth-sasl'
import dnsEmbedded from '@fnaa/dns-embedded'
`

t.test('the config of the project is right', async t => {
  const { code, out } = await check(join(ROOT, 'fnaad.config.ts'))
  t.equal(code, 0)
  t.match(out, /fnaad\.config\.ts: ok, 8 plugins: store-lmdb, auth-sasl/)
})

t.test('every mistake at once, each with file, line, option and what to do', async t => {
  const file = await config(
    t,
    'wrong.config.ts',
    `${IMPORTS}
export default defineConfig({
  host: 'fnaa.unix.test',
  domains: ['unix.test'],
  listen: ['tcp://127.0.0.1:61000'],
  data: '.fnaad',
  namespces: ['flows.unix.test'],
  federation: { lease: 5 },
  plugins: [
    storeLmdb(),
    authSasl({ iteratons: 5 }),
    dnsEmbedded({ listen: 5 }),
  ],
} as never)
`,
  )
  const { code, err } = await check(file)
  t.equal(code, 2)
  t.match(err, /wrong\.config\.ts:11:3: namespces is not an option; did you mean namespaces\?/)
  t.match(err, /wrong\.config\.ts:12:17: federation\.lease is 5 s: it must be at least 3600 s/)
  t.match(
    err,
    /wrong\.config\.ts:15:16: plugin 'auth-sasl': options\.iteratons is not an option; did you mean iterations\?/,
  )
  t.match(err, /wrong\.config\.ts:16:\d+: plugin 'dns-embedded': options\.listen must be string/)
  t.notMatch(err, /at .*\.js:\d+/, "no stack for an operator's mistake")
})

t.test('two plugins that offer the same, a missing store, a file that is not there', async t => {
  const twice = await config(
    t,
    'twice.config.ts',
    `${IMPORTS}export default defineConfig({ host: 'a.b', domains: ['a.b'], listen: ['tcp://127.0.0.1:1'], data: 'x', plugins: [storeLmdb(), authSasl(), authSasl({}, { id: 'second' })] })\n`,
  )
  t.match((await check(twice)).err, /'auth-sasl' and 'second' both offer the mechanism \S+: remove one/)
  const none = await config(
    t,
    'none.config.ts',
    `${IMPORTS}export default defineConfig({ host: 'a.b', domains: ['a.b'], listen: ['tcp://127.0.0.1:1'], data: 'x', plugins: [false, null, [undefined]] })\n`,
  )
  t.match((await check(none)).err, /plugins has no store: add one, such as storeLmdb\(\)/)
  t.match(await check('/nowhere/fnaad.config.ts'), { code: 2, err: /there is no such file/ })
  const broken = await config(t, 'broken.config.ts', 'export default defineConfig({\n')
  t.match(await check(broken), { code: 2, err: /broken\.config\.ts/ })
})

t.test('YAML: the same options, plugins by package', async t => {
  const file = await config(
    t,
    'agent.yaml',
    'host: fnaa.unix.test\ndomains: [unix.test]\nlisten: ["tcp://127.0.0.1:0"]\ndata: state\nplugins:\n  - use: "@fnaa/store-lmdb"\n  - use: "@fnaa/auth-sasl"\n    options:\n      iterations: 9000\n',
  )
  t.match(await check(file), { code: 0, out: /ok, 2 plugins/ })
  const wrong = await config(
    t,
    'wrong.yaml',
    'host: fnaa.unix.test\ndomains: [unix.test]\nlisten: []\ndata: state\nplugins: []\n',
  )
  t.match(await check(wrong), { code: 2, err: /wrong\.yaml:3:\d+: listen must NOT have fewer than 1 items/ })
  const odd = await config(t, 'odd.yaml', 'host: [\n')
  t.match(await check(odd), { code: 2, err: /odd\.yaml:\d+:\d+/ })
})

t.test('without the Bridge, SUBSCRIBE and REPLICATE answer 501, and CAPABILITIES says nothing of it', async t => {
  const a = await single(t, {
    change: c => ({ ...c, plugins: c.plugins.filter(p => (p as { id?: string }).id !== 'processor-bridge') }),
  })
  const user = await a.login(t)
  await user.ok('CREATE FLOW time.flows.unix.test')
  await user.ok('CREATE FLOW copy.flows.unix.test')
  t.match(await user.say('SUBSCRIBE time.flows.unix.test LOCAL copy.flows.unix.test'), {
    code: 501,
    symbol: 'NOTSUPPORTED',
    text: /no processor type of this agent does SUBSCRIBE/,
  })
  t.match(await user.say('REPLICATE time.flows.unix.test copy.flows.unix.test'), { code: 501 })
  t.same((await user.ok('GET PROCESSOR TYPES')).lines, [])
  t.notMatch((await user.ok('CAPABILITIES')).lines.join('\n'), /processors=/)
})

t.test('what is advertised comes from manifests', async t => {
  const a = await single(t)
  const user = await a.login(t)
  t.same((await user.ok('GET PROCESSOR TYPES')).lines, [
    'processor-type=bridge verbs=SUBSCRIBE,REPLICATE sources=1 sinks=1',
  ])
  t.same((await user.ok('GET BROKERS')).lines, [
    'broker=broker-embedded type=embedded state=ready',
    'broker=broker-fnap type=fnap state=driver-only',
  ])
  const r = await Raw.open(t, a.port)
  await r.line()
  const lines = await r.say('CAPABILITIES', 10)
  t.match(lines, [
    '220 DATA',
    'version=FNAP/1',
    'starttls=yes',
    /^auth=ANONYMOUS,PLAIN,SCRAM-SHA-256$|^auth=ANONYMOUS,PLAIN$/,
    'brokers=embedded,fnap',
    'processors=bridge',
    'formats=text,json,batch',
    'codecs=none,gzip',
    /^limits=/,
    '220 OK',
  ])
})

t.test('REPLICATE: a Bridge between two flows of ours', async t => {
  const a = await single(t)
  const user = await a.login(t)
  await user.ok('CREATE FLOW src.flows.unix.test')
  await user.ok('CREATE FLOW dst.flows.unix.test')
  await user.write('src.flows.unix.test', 'before')
  const id = (await user.ok('REPLICATE src.flows.unix.test dst.flows.unix.test')).text
  await user.write('src.flows.unix.test', 'after')
  t.same(
    await user.follow('dst.flows.unix.test', 1, { from: { at: 'earliest' } }),
    ['after'],
    'FROM defaults to latest',
  )
  await user.ok(`PAUSE PROCESSOR ${id}`)
  t.match((await user.ok('GET PROCESSORS')).lines[0], /phase=paused/)
  await user.ok(`RESUME PROCESSOR ${id}`)
  await user.write('src.flows.unix.test', 'again')
  t.same(await user.follow('dst.flows.unix.test', 2, { from: { at: 'earliest' } }), ['after', 'again'])
  t.match(await user.say('REPLICATE dst.flows.unix.test src.flows.unix.test'), { symbol: 'LOOP' })
  await user.ok(`DELETE PROCESSOR ${id}`)
  t.same((await user.ok('GET PROCESSORS')).lines, [])
})
