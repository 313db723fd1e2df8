import { execFile } from 'node:child_process'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { flattenPlugins } from '@fnaa/core'
import { codecs } from '@fnaa/protocol'
import t from 'tap'
import { folder, single, type Teardown } from './support/agents.js'
import { FNAAD, PLAIN } from './support/process.js'
import { Raw } from './support/raw.js'
import { ROOT } from './support/start.js'

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
  t.match(out, /fnaad\.config\.ts: ok, 9 plugins: store-lmdb, auth-sasl/)
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
  t.match(err, /wrong\.config\.ts:16:\d+: plugin 'dns-embedded': options\.listen is 5: it must be string/)
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

t.test('ports, addresses, names: the value, the rule, and an example', async t => {
  const file = await config(
    t,
    'rules.config.ts',
    `${IMPORTS}
export default defineConfig({
  host: 'FNAA',
  domains: ['unix.test'],
  listen: ['tcp://127.0.0.1:70000', 'udp://x', 'tls://127.0.0.1:0'],
  advertise: 'fnaa.unix.test:0',
  data: '/dev/null',
  namespaces: ['flows.unix.ar', { nam: 'x.unix.test' }, 'a_b.unix.test'],
  administrators: ['alice'],
  resolver: { servers: ['dns.example.org:53', '127.0.0.1:99999', '127.0.0.1:53', '[::1]:53', '9.9.9.9'], trustAd: true },
  network: { allow: ['foo', '10.0.0.0/40', '10.0.0.0/8'] },
  plugins: [
    storeLmdb(),
    dnsEmbedded({ listen: '127.0.0.1:70000' }),
  ],
} as never)
`,
  )
  const { code, err } = await check(file)
  t.equal(code, 2)
  t.same(
    err
      .trim()
      .split('\n')
      .map(line => line.replace(/^(error: )?\S*rules\.config\.ts/, '').replace(/^:(\d+):\d+: /, ':$1 '))
      .sort(),
    [
      ":18 plugin 'dns-embedded': options.listen is 127.0.0.1:70000: it must be address:port of this host, port 0 to 65535, such as 127.0.0.1:5300",
      ':7 host is FNAA: it must be a domain name in lower case, of two labels or more, such as fnaa.example.org',
      ':9 listen.0 is tcp://127.0.0.1:70000: a port is 0 to 65535 (0 takes a free one)',
      ':9 listen.1 is udp://x: it must be tcp://address:port (STARTTLS) or tls://address:port (TLS from the first byte), such as tcp://127.0.0.1:61000',
      ':9 listen.2 is tls://127.0.0.1:0: it needs a certificate; give tls with cert and key, or with development',
      ':10 advertise is fnaa.unix.test:0: a port is 1 to 65535',
      ':11 data is /dev/null: it is a file; it must be a directory, which is made where it is missing',
      ':12 namespaces.0 is flows.unix.ar: it lies in none of domains (unix.test); name it below one of them',
      ':12 namespaces.1.nam is not an option; did you mean name?',
      ':12 namespaces.2 is a_b.unix.test: it must be a domain name in lower case, of two labels or more, such as flows.example.org',
      ':13 administrators.0 is alice: it must be user@domain, of one of domains, such as alice@unix.test',
      ':14 resolver.servers.0 is dns.example.org:53: it must be the IP address and port of a DNS server, such as 127.0.0.1:53 or [::1]:53',
      ':14 resolver.servers.1 is 127.0.0.1:99999: it must be the IP address and port of a DNS server, such as 127.0.0.1:53 or [::1]:53',
      ':14 resolver.servers.4 is 9.9.9.9: it must be the IP address and port of a DNS server, such as 127.0.0.1:53 or [::1]:53',
      ':14 resolver.trustAd is true: it needs a validating resolver on loopback, such as 127.0.0.1:53, or on one of resolver.trustNetworks, not dns.example.org:53',
      ':15 network.allow.0 is foo: it must be an address or a range, such as 192.168.1.0/24',
      ':15 network.allow.1 is 10.0.0.0/40: it must be an address or a range, such as 192.168.1.0/24',
      ':16 plugins has no auth plugin, so nobody could log in: add one, such as authSasl()',
      ':16 plugins has no broker that holds the flows of namespaces: add one, such as brokerEmbedded()',
    ].sort(),
  )
})

t.test('what stands in for a name server or a certificate that is not there', async t => {
  const lonely = await config(
    t,
    'lonely.config.ts',
    `${IMPORTS}export default defineConfig({ host: 'a.b', domains: ['a.b'], namespaces: ['x.a.b'], listen: ['tcp://127.0.0.1:1'], data: 'x', tls: { cert: '/nowhere/a.pem' }, plugins: [storeLmdb(), authSasl()] } as never)\n`,
  )
  const { code, err } = await check(lonely)
  t.equal(code, 2)
  t.match(err, /tls\.key is missing: the agent needs it\n/)
  t.notMatch(err, /tls\.development is missing/, 'of two forms the one that was meant')
  t.match(err, /plugins has no dns plugin, so nobody would find the namespaces: add one, such as dnsEmbedded\(\)/)
})

t.test('what is not there, is not called, is not exported or is misspelt: where, and what to do', async t => {
  const rest = "host: 'fnaa.unix.test', listen: ['tcp://127.0.0.1:0'], data: '/tmp/x'"
  const all = `${rest}, plugins: [storeLmdb(), authSasl()]`
  const domains = "domains: ['unix.test']"
  const lists: [string, string, string[]][] = [
    [
      'absent.config.ts',
      `import lmbd from '@fnaa/store-lmbd'\nexport default defineConfig({ ${domains}, ${rest}, plugins: [lmbd()] })\n`,
      [
        'config :5:1: import of @fnaa/store-lmbd: it is installed neither beside the config nor beside fnaad; did you mean @fnaa/store-lmdb? else npm install @fnaa/store-lmbd',
      ],
    ],
    [
      'file.config.mjs',
      `import own from './own.js'\nexport default own\n`,
      ['config :5:1: import of ./own.js: there is no such file; a path is meant from where the config lies'],
    ],
    [
      'uncalled.config.ts',
      `export default defineConfig({ ${domains}, ${rest}, plugins: [\n  authSasl(),\n  storeLmdb,\n 'x'] } as never)\n`,
      [
        ':7:3: plugins.1 is storeLmdb itself: it must be what it returns; call it: storeLmdb()',
        ":8:2: plugins.2 is string: it must be what a plugin's factory returns, such as storeLmdb()",
      ],
    ],
    [
      'named.config.ts',
      `export const config = defineConfig({ ${domains}, ${all} })\n`,
      ['config :5:1: it has no default export; config is exported by its name only: write export default config'],
    ],
    [
      'nothing.config.mjs',
      `defineConfig({ ${domains}, ${all} })\n`,
      ['config : it has no default export: write export default defineConfig({ … })'],
    ],
    [
      'number.config.ts',
      `export default 5\n`,
      ['config :5:1: its default export must be what defineConfig returns, or a function that returns it'],
    ],
    ['throws.config.ts', `export default () => {\n  throw new Error('boom')\n}\n`, ['config :6: boom']],
    [
      'typo.config.ts',
      `export default defineConfig({\n  domain: ['unix.test'],\n  administrators: ['a@unix.test'], ${all} } as never)\n`,
      [':6:3: domain is not an option; did you mean domains?'],
    ],
    [
      'plugin.config.ts',
      `export default defineConfig({ ${domains}, ${rest},\n  plugin: [authSasl()] } as never)\n`,
      [':6:3: plugin is not an option; did you mean plugins?'],
    ],
    [
      'lack.config.ts',
      `export default defineConfig({ ${all} } as never)\n`,
      [':5:1: domains is missing: the agent needs it'],
    ],
  ]
  for (const [name, text, said] of lists) {
    const file = await config(t, name, `${IMPORTS}${text}`)
    const { code, err } = await check(file)
    const lines = err
      .trim()
      .replace(/^error: /, '')
      .replaceAll(file, '')
    t.same([code, ...lines.split('\n')], [2, ...said], name)
  }
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
  t.match(await check(wrong), {
    code: 2,
    err: /wrong\.yaml:3:\d+: listen is \[\]: it must NOT have fewer than 1 items/,
  })
  const options = await config(
    t,
    'options.yaml',
    'host: fnaa.unix.test\ndomains: [unix.test]\nlisten: ["tcp://127.0.0.1:0"]\ndata: state\nplugins:\n  - use: "@fnaa/store-lmdb"\n  - use: "@fnaa/auth-sasl"\n    options:\n      iterations: 9000\n  - use: "@fnaa/broker-kafka"\n    options:\n      servers: ["127.0.0.1:9092"]\n      defaults:\n        shard: 3\n        retentionMs: 0\n  - use: "@fnaa/dns-bind"\n',
  )
  const { code, err } = await check(options)
  t.equal(code, 2)
  t.match(
    err,
    /options\.yaml:14:16: plugin 'broker-kafka': options\.defaults\.shard is not an option; did you mean shards\?/,
  )
  t.match(err, /options\.yaml:15:22: plugin 'broker-kafka': options\.defaults\.retentionMs is 0: it must be >= 1/)
  t.match(err, /options\.yaml:16:10: plugin 'dns-bind': options\.\w+ is missing/)
  const rest = 'host: fnaa.unix.test\ndomains: [unix.test]\nlisten: ["tcp://127.0.0.1:0"]\ndata: state\n'
  for (const [name, text, said] of [
    ['empty.yaml', '# nothing yet\n', /empty\.yaml: must be options: host, domains/],
    ['list.yaml', '- 1\n', /list\.yaml: must be options: host, domains/],
    ['word.yaml', `${rest}plugins: store-lmdb\n`, /word\.yaml:5:\d+: plugins must be a list/],
    [
      'entry.yaml',
      `${rest}plugins:\n  - use: "@fnaa/store-lmdb"\n    optoins: {}\n  - "@fnaa/auth-sasl"\n`,
      /entry\.yaml:7:\d+: plugins\.0\.optoins is not an option; did you mean options\?\n.*entry\.yaml:8:5: plugins\.1\.use must name a package/,
    ],
    ['agent.conf', rest, /agent\.conf: its name must end in one of \.ts .* \.yaml/],
  ] as const)
    t.match(await check(await config(t, name, text)), { code: 2, err: said }, name)
  t.match(await check(await folder(t)), { code: 2, err: /is a folder/ })
  const odd = await config(t, 'odd.yaml', 'host: [\n')
  t.match(await check(odd), { code: 2, err: /odd\.yaml:\d+:\d+/ })
  const secret = await config(t, 'secret.yaml', 'host: a.b\n  sasl: { mechanism: plain, password: hunter2 }\n')
  const said = await check(secret)
  t.match(said, { code: 2, err: /secret\.yaml:\d+:\d+: \S/ })
  t.notMatch(said.err, /hunter2/, 'no line of it is shown')
})

t.test('a config outside the project finds the packages beside fnaad', async t => {
  const outside = await folder(t)
  const yaml = 'host: a.b\ndomains: [a.b]\nlisten: ["tcp://127.0.0.1:0"]\ndata: state\nplugins:\n'
  const module = `${IMPORTS}export default defineConfig({ host: 'a.b', domains: ['a.b'], listen: ['tcp://127.0.0.1:0'], data: '/tmp/x', plugins: [storeLmdb(), authSasl()] })\n`
  for (const [name, text] of [
    ['agent.ts', module],
    ['agent.mjs', module],
    ['agent.yaml', `${yaml}  - use: "@fnaa/store-lmdb"\n  - use: "@fnaa/auth-sasl"\n`],
  ] as const) {
    await writeFile(join(outside, name), text)
    t.match(await check(join(outside, name)), { code: 0, out: /ok, 2 plugins: store-lmdb, auth-sasl/ }, name)
  }
  await copyFile(join(ROOT, 'fnaad.config.ts'), join(outside, 'fnaad.config.ts'))
  t.match(await check(join(outside, 'fnaad.config.ts')), { code: 0, out: /ok, 9 plugins/ }, "the project's own")
  await writeFile(join(outside, 'none.yaml'), `${yaml}  - use: "@fnaa/no-such"\n  - use: 3\n`)
  t.match(await check(join(outside, 'none.yaml')), {
    code: 2,
    err: /none\.yaml:6:10: plugins\.0\.use is @fnaa\/no-such: it is installed neither beside the config nor beside fnaad.*\n.*none\.yaml:7:10: plugins\.1\.use must name a package/,
  })
})

t.test(
  'without a processor, SUBSCRIBE, REPLICATE and DISTRIBUTE answer 501, and CAPABILITIES says nothing of it',
  async t => {
    const a = await single(t, {
      change: c => ({ ...c, plugins: flattenPlugins(c.plugins).filter(p => !p.id.startsWith('processor-')) }),
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
    t.match(await user.say('DISTRIBUTE time.flows.unix.test TO copy.flows.unix.test'), { code: 501 })
    t.same((await user.ok('GET PROCESSOR TYPES')).lines, [])
    t.notMatch((await user.ok('CAPABILITIES')).lines.join('\n'), /processors=/)
  },
)

t.test('what is advertised comes from manifests', async t => {
  const a = await single(t)
  const user = await a.login(t)
  t.same((await user.ok('GET PROCESSOR TYPES')).lines, [
    'processor-type=bridge verbs=SUBSCRIBE,REPLICATE sources=1 sinks=1',
    'processor-type=distributor verbs=DISTRIBUTE sources=1 sinks=1-n',
  ])
  t.same((await user.ok('GET BROKERS')).lines, [
    'broker=broker-embedded type=embedded state=ready',
    'broker=broker-fnap type=fnap state=driver-only',
  ])
  const r = await Raw.open(t, a.port)
  await r.line()
  const lines = await r.say('CAPABILITIES', 11)
  t.match(lines, [
    '220 DATA',
    'version=FNAP/1',
    'starttls=yes',
    /^auth=ANONYMOUS,PLAIN,SCRAM-SHA-256$|^auth=ANONYMOUS,PLAIN$/,
    'brokers=embedded,fnap',
    'modes=fnap',
    'processors=bridge,distributor',
    'formats=text,json,batch',
    `codecs=${[...codecs.keys()].join()}`,
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
