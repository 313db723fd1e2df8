// What `npm start` and `npm test` do first: install from the lock file and build, only where something has changed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = join(root, 'node_modules', '.fnaad-installed')

/** Runs a command in the project, its output to standard error: standard output belongs to data. */
export function sh(command, args, { title, quiet = false } = {}) {
  if (title) process.stderr.write(`${title} …\n`)
  const started = Date.now()
  const done = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', quiet ? 'pipe' : 2, quiet ? 'pipe' : 2],
    shell: false,
  })
  if (done.status !== 0) {
    if (quiet) process.stderr.write(Buffer.concat([done.stdout ?? Buffer.alloc(0), done.stderr ?? Buffer.alloc(0)]))
    process.stderr.write(`${command} ${args.join(' ')} failed (${done.status ?? done.error?.message})\n`)
    process.exit(done.status ?? 1)
  }
  if (title) process.stderr.write(`${title}: ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
}

export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    process.stderr.write(`fnaad needs Node 20.19 or newer; this is ${process.versions.node}\n`)
    process.exit(1)
  }
}

export function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  sh('npm', ['ci', '--no-audit', '--no-fund'], { title: 'installing packages (first time: about a minute)' })
  writeFileSync(stamp, lock)
}

export function build({ quiet = true } = {}) {
  mkdirSync(join(root, 'processor-host', 'dist'), { recursive: true })
  sh(process.execPath, [join(root, 'scripts', 'build.mjs')], quiet ? { title: 'building' } : {})
}

/** tap is built with the plugins of .taprc: without it, it would run the tests through a TypeScript loader of its own. */
function prepareTests() {
  const built = join(root, 'node_modules', '.fnaad-tap')
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, '.taprc')))
    .digest('hex')
  if (existsSync(built) && readFileSync(built, 'utf8') === wanted) return
  sh(join(root, 'node_modules', '.bin', 'tap'), ['build'], { title: 'preparing the test runner', quiet: true })
  writeFileSync(built, wanted)
}

export function setup() {
  checkNode()
  install()
  build()
}

/** What tests need besides. tap comes before the build: its types would be newer than what was built, and all be built again during the tests. */
export function setupTests() {
  checkNode()
  install()
  prepareTests()
  build()
}
