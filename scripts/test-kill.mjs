// `npm run test:kill -- --kills N --load N --seed S`: the kill tests whole. Defaults: 1000, 1000, a new seed (printed).
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareTests, root, setup } from './setup.mjs'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    load: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
})
setup()
prepareTests()
process.stderr.write(`seed ${values.seed}\n`)
const files = [
  values.kills !== '0' && 'test/dist/kill-steps.test.js',
  values.load !== '0' && 'test/dist/kill-load.test.js',
].filter(Boolean)
const done = spawnSync(join(root, 'node_modules', '.bin', 'tap'), ['run', '--timeout=86400', ...files], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, FNAAD_KILLS: values.kills, FNAAD_LOAD_KILLS: values.load, FNAAD_SEED: values.seed },
})
process.exitCode = done.status ?? 1
