import { fork } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import t, { type Test } from 'tap'
import { CONFIG, folder, freePort, places, type Teardown, TestAgent } from './support/agents.js'
import { dnsGuide } from './support/dns-guide.js'
import { unavailable as unnamed } from './support/organisation.js'
import { FNAAD } from './support/process.js'
import { ROOT, type ShellOptions, Start, shell, twoPorts } from './support/start.js'
import { EXAMPLE, gather, ready, stopped, thesis } from './support/thesis.js'

/** Every command that a document shows is run here, in its order; the scenarios below are the documents. */
const FILES = [
  'README.md',
  'cli/README.md',
  'docs/guides/dns.md',
  'docs/guides/operate.md',
  'examples/thesis/README.md',
] as const

/** The commands of a document's ```sh blocks, comments taken off. */
function commands(file: string): string[] {
  return [...readFileSync(join(ROOT, file), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, body]) =>
    body!
      .split('\n')
      .map(line => line.replace(/(?:^|\s+)#.*$/, '').trim())
      .filter(line => line !== ''),
  )
}

/** Those that do not end by themselves, that are this run, or that a package manager does. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'npm start', // scripts/start.mjs is what it runs: each scenario's agents
  'npm test', // this run
  'npx fnaad --config fnaad.config.ts', // thesis-server.test.ts (T1, T5) and config.test.ts
  'npm install --global @fnaa/cli',
  'node examples/thesis/run.mjs', // thesis() of test/src/support
  'cd examples/thesis',
])

/** What a command prints, by a word of it; the others print something. */
const PRINTS: readonly (readonly [string, RegExp])[] = [
  [' read ', /^(?:\{"specversion":.*\}\n)+$/],
  [' write ', /^$/],
  ['fnaad.config.ts check', /: ok, \d+ plugins: /],
  ['get flows', /time\.flows\.unix\.test/],
  ['get subscribers time.flows.unix.test', /test@emiliano\.test/],
  ['get subscribers', /^$/],
  ['get grants', /^$/],
  ['get subscriptions', /time\.flows\.unix\.test .*active/],
  [' login', /^(?:alice|test)@example\.org\n$/],
  ['whoami', /^alice@example\.org\n$/],
  ['user add', /alice.* added/],
  ['user list', /^alice@\S+ +active/],
  ['user disable', /alice@\S+ disabled/],
  ['user enable', /alice@\S+ enabled/],
  ['user passwd', /password of alice@\S+ changed/],
  ['key show >', /^$/],
  ['key show', /_fnapkey\./],
  [' subscribe ', / SUBSCRIBED TO /],
  ['named-checkconf', /^$/],
  ['named-checkzone', /^OK$/m],
  ['tsig-keygen', /^$/],
  ['chmod', /^$/],
  ['dnssec -status', /dnssec-policy: default/],
  ['dig @203.0.113.10 +dnssec', /^SOA \d+ /m],
  ['dig @127.0.0.1 +adflag', /flags: [a-z ]*\bad\b/],
  ['delv ', /^; fully validated$/m],
  ['nsupdate', /^$/],
  ['rndc reconfig', /^$/],
  ['dig +short PTR', /^_flow\._tcp\./],
]
const printed = (line: string): RegExp => PRINTS.find(([word]) => line.includes(word))?.[1] ?? /./

export interface Scenario extends ShellOptions {
  /** The line as it is run: with this test's ports and folders. */
  readonly as: (line: string) => string
  /** Runs a line otherwise; true where it did. */
  readonly instead?: (line: string) => Promise<boolean>
}

async function runAll(t: Test, file: string, s: Scenario): Promise<void> {
  const lines = commands(file)
  t.ok(lines.length > 0, `${file} shows commands`)
  for (const line of lines) {
    if (ELSEWHERE.has(line) || (await s.instead?.(line))) continue
    const input = /user (?:add|passwd)/.test(line) ? 'a long password\n' : ''
    const done = await shell(s.as(line), { ...s, input })
    t.equal(done.code, 0, `${file}: ${line}\n${done.err}`)
    t.match(done.out, printed(line), line)
  }
}

t.test('no document shows commands that nothing runs', async t => {
  const shown = documents(ROOT).filter(file => commands(file).length > 0)
  t.same(shown.sort(), [...FILES].sort())
  const all = FILES.flatMap(commands)
  for (const line of ELSEWHERE) t.ok(all.includes(line), `${line} is still shown`)
})

/** The project's documents, from its folder. */
function documents(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
    if (entry.name.startsWith('.') || entry.name === 'node_modules' || entry.name === 'dist') return []
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return documents(path)
    return entry.name.endsWith('.md') ? [relative(ROOT, path)] : []
  })
}

t.test('README.md', async t => {
  const data = await folder(t)
  const start = new Start(['--port', String(await twoPorts()), '--data', data, '--json'])
  t.teardown(() => start.stop())
  await start.line()
  const config = await configAt(t, 'unix.test')
  await runAll(t, 'README.md', {
    as: line => line.replace('.fnaad/flow.yml', join(data, 'flow.yml')).replace('fnaad.config.ts', config.file),
  })
})

/** A config of one agent in a folder of its own. */
async function configAt(t: Teardown, domain: string, more = '') {
  const data = await folder(t)
  const at = { domain, data, ca: join(data, 'ca'), port: await freePort(), dnsPort: await freePort() }
  await mkdir(join(data, 'etc'))
  const file = join(data, 'etc', 'fnaad.config.ts')
  await writeFile(
    file,
    `import base from ${JSON.stringify(CONFIG)}\nexport default { ...base(${JSON.stringify(at)})${more} }\n`,
  )
  return { ...at, file }
}

t.test('docs/guides/operate.md: from a config to a cut', async t => {
  const config = await configAt(t, 'example.org', ", administrators: ['alice@example.org']")
  const env = { XDG_CONFIG_HOME: await folder(t), FNUA_PASSWORD: 'a long password' }
  await runAll(t, 'docs/guides/operate.md', {
    env,
    as: line =>
      line
        .replace('/etc/fnaad/fnaad.config.ts', config.file)
        .replace('/var/lib/fnaad', config.data)
        .replace('127.0.0.1:5300', `127.0.0.1:${config.dnsPort}`),
    async instead(line) {
      if (line !== 'npx fnaad --config /etc/fnaad/fnaad.config.ts') return false
      const child = fork(FNAAD, ['--config', config.file], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] })
      t.teardown(() => stopped(child))
      await ready(child, gather(child))
      return true
    },
  })
})

t.test(
  'docs/guides/dns.md: on a host of its own, under a parent that knows nothing yet',
  { skip: unnamed },
  async t => {
    const text = readFileSync(join(ROOT, 'docs/guides/dns.md'), 'utf8')
    await runAll(t, 'docs/guides/dns.md', await dnsGuide(t, text))
  },
)

t.test('cli/README.md', async t => {
  const agents = await Promise.all((await places(t, ['example.org', 'other.org'])).map(w => new TestAgent(w).start()))
  t.teardown(() => Promise.all(agents.map(a => a.close())))
  const [own, other] = agents as [TestAgent, TestAgent]
  await (await other.login(t)).ok('CREATE FLOW prices.flows.other.org VISIBILITY public')
  const env = {
    XDG_CONFIG_HOME: await folder(t),
    FNUA_NAMESERVER: `127.0.0.1:${own.where.dnsPort}`,
    FNUA_USER: 'test',
    FNUA_PASSWORD: 'test',
  }
  await runAll(t, 'cli/README.md', { env, as: line => line.replace(/\bfnua\b/, 'npx fnua') })
})

t.test('examples/thesis/README.md', async t => {
  const net = await thesis(t)
  await runAll(t, 'examples/thesis/README.md', {
    cwd: EXAMPLE,
    as: line => line.replace('127.0.0.1:5300', net.dns.unix).replace('127.0.0.1:5301', net.dns.emiliano),
  })
})
