// `npm test`: sets up what is missing, then runs every test; arguments are passed on to tap (a file, -g PATTERN …).
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { prepareTests, root, setup } from './setup.mjs'

setup()
prepareTests()
const args = process.argv.slice(2)
const done = spawnSync(join(root, 'node_modules', '.bin', 'tap'), ['run', ...args], { cwd: root, stdio: 'inherit' })
process.exitCode = done.status ?? 1
