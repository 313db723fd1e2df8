import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { folder } from './support/agents.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const { broken } = (await import(new URL('../../scripts/imports.mjs', import.meta.url).href)) as {
  broken(root: string): string[]
}

t.test('no import of the project breaks a rule of the house', async t => {
  t.strictSame(broken(ROOT), [])
})

t.test('each kind of broken rule is found in a made-up project', async t => {
  const root = await folder(t)
  const files: Readonly<Record<string, string>> = {
    'protocol/src/index.ts': "import { connect } from 'node:net'\nexport { connect }\n",
    'client/src/index.ts': "import { Agent } from '@fnaa/core'\nexport { Agent }\n",
    'core/src/index.ts': "export const broker = () => import('@fnaa/broker-a')\n",
    'core/src/far.ts': "import type {\n  Reply,\n} from '../../client/src/index.js'\nexport type { Reply }\n",
    'plugins/broker-a/src/index.ts': "import b from '@fnaa/broker-b'\nexport default b\n",
    'plugins/broker-b/src/index.ts': "export { Agent } from '@fnaa/core'\n",
    // These break none.
    'plugins/broker-b/src/fine.ts':
      "import { plain } from '@fnaa/client'\nimport { definePlugin } from '@fnaa/core/plugin'\nimport { readFile } from 'node:fs/promises'\nimport { q } from '@fnaa/lib-queues'\nimport './index.js'\nexport { definePlugin, plain, q, readFile }\n",
    'plugins/broker-b/src/fine.test.ts': "import { suite } from '@fnaa/conformance'\nsuite()\n",
    'protocol/src/fine.test.ts': "import { readFileSync } from 'node:fs'\nreadFileSync('x')\n",
  }
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
  t.strictSame(
    broken(root)
      .map(line => line.replace(/ \(.*/, ''))
      .sort(),
    [
      'client/src/index.ts: @fnaa/core',
      'core/src/far.ts: ../../client/src/index.js',
      'core/src/index.ts: @fnaa/broker-a',
      'plugins/broker-a/src/index.ts: @fnaa/broker-b',
      'plugins/broker-b/src/index.ts: @fnaa/core',
      'protocol/src/index.ts: node:net',
    ],
  )
})

/** Directories of the packages that are published. */
const packages = [
  'protocol',
  'client',
  'core',
  'conformance',
  'cli',
  'processor-host',
  ...['plugins', 'lib'].flatMap(under => readdirSync(join(ROOT, under)).map(name => `${under}/${name}`)),
].filter(directory => existsSync(join(ROOT, directory, 'package.json')))

t.test('time limits are signalAfter: AbortSignal.any forgets those of AbortSignal.timeout', async t => {
  for (const directory of packages) {
    const sources = readdirSync(join(ROOT, directory, 'src'), { recursive: true, encoding: 'utf8' })
    for (const name of sources.filter(n => n.endsWith('.ts') && !n.includes('.test.')))
      t.notMatch(
        readFileSync(join(ROOT, directory, 'src', name), 'utf8'),
        /AbortSignal\.timeout\(/,
        join(directory, name),
      )
  }
})

interface Manifest {
  readonly name: string
  readonly license?: string
  readonly files?: readonly string[]
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}
const manifestOf = (directory: string): Manifest =>
  JSON.parse(readFileSync(join(ROOT, directory, 'package.json'), 'utf8')) as Manifest

const IMPORT = /(?:^|\n)\s*(?:import|export)\s(?:[^'"]*?\sfrom\s*)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

/** Packages that the sources of a directory import: of its tests, or of the rest. */
function imported(directory: string, tests: boolean): Set<string> {
  const found = new Set<string>()
  const src = join(ROOT, directory, 'src')
  for (const name of readdirSync(src, { recursive: true }) as string[]) {
    const isTest = /\.test(?:\.[a-z-]+)*\.ts$/.test(name)
    if (!name.endsWith('.ts') || isTest !== tests) continue
    for (const match of readFileSync(join(src, name), 'utf8').matchAll(IMPORT)) {
      const spec = match[1] ?? match[2]!
      if (spec.startsWith('.') || spec.startsWith('node:')) continue
      found.add(
        spec
          .split('/')
          .slice(0, spec.startsWith('@') ? 2 : 1)
          .join('/'),
      )
    }
  }
  return found
}

t.test('each package says what it exports, ships no tests, and lists what it imports', async t => {
  const shared = new Set(Object.keys(manifestOf('.').devDependencies!))
  for (const directory of packages) {
    const m = manifestOf(directory)
    t.match(m.name, /^@fnaa\//, directory)
    t.equal(m.license, 'Apache-2.0', `${m.name}: license`)
    t.ok(m.files?.includes('!dist/**/*.test.*'), `${m.name}: files without tests`)
    const main = m.exports?.['.'] as { types?: string; default?: string } | undefined
    t.ok(main?.types && main.default, `${m.name}: exports with types`)
    for (const [entry, target] of Object.entries(m.exports ?? {})) {
      for (const path of typeof target === 'string' ? [target] : Object.values(target))
        t.ok(existsSync(join(ROOT, directory, path)), `${m.name}: ${entry} leads to ${path}`)
    }
    const listed = new Set(Object.keys(m.dependencies ?? {}))
    const dev = new Set(Object.keys(m.devDependencies ?? {}))
    // The CLI is one bundled file: what is inside need not be installed.
    const run = directory === 'cli' ? new Set([...listed, ...dev]) : listed
    const own = (name: string) => name === m.name
    t.strictSame(
      [...imported(directory, false)].filter(n => !run.has(n) && !own(n)),
      [],
      `${m.name}: dependencies`,
    )
    const forTests = [...imported(directory, true)].filter(
      n => !listed.has(n) && !dev.has(n) && !shared.has(n) && !own(n),
    )
    t.strictSame(forTests, [], `${m.name}: devDependencies`)
  }
})

t.test('the lock file names no registry', async t => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { resolved?: string }>
  }
  const remote = Object.entries(lock.packages).filter(
    ([, p]) => p.resolved !== undefined && /^[a-z+]+:/.test(p.resolved),
  )
  t.strictSame(remote, [])
})

t.test('every plugin says in a README what it is', async t => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  for (const name of readdirSync(join(ROOT, 'plugins'))) {
    t.ok(existsSync(join(ROOT, 'plugins', name, 'README.md')), `plugins/${name}/README.md`)
    t.match(readme, `(plugins/${name})`, `${name} stands in the table of README.md`)
  }
})
