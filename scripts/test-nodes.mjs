// `npm run test:nodes`: the unit tests on the other supported majors of Node. The binaries come from npm's own packages.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { root, setupTests, sh } from './setup.mjs'

const MAJORS = process.argv.slice(2).length > 0 ? process.argv.slice(2) : ['22', '24']
const UNITS = ['protocol', 'client', 'core', 'conformance', 'cli', 'processor-host', 'plugins/*', 'lib/*'].map(
  p => `${p}/dist/**/*.test.js`,
)

setupTests()
for (const major of MAJORS) {
  const directory = join(root, '.cache', `node-${major}`)
  const pkg = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const node = join(directory, 'node_modules', pkg, 'bin', 'node')
  if (!existsSync(node)) {
    mkdirSync(directory, { recursive: true })
    sh(
      'npm',
      [
        'install',
        '--no-save',
        '--no-package-lock',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--prefix',
        directory,
        `${pkg}@${major}`,
      ],
      { title: `Node ${major}` },
    )
  }
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  process.stderr.write(`unit tests on Node ${version}\n`)
  const done = spawnSync(node, [join(root, 'node_modules', '.bin', 'tap'), 'run', ...UNITS], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${join(directory, 'node_modules', pkg, 'bin')}:${process.env.PATH}` },
  })
  if (done.status !== 0) process.exit(done.status ?? 1)
}
