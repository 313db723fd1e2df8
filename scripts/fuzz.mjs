// `npm run fuzz -- --cases N --seed S`: the parsers of what other machines send, over damaged input, for as long as one likes.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root, setupTests } from './setup.mjs'

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '2000000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
})
setupTests()
const files = [
  'lib/kafka-wire/dist/fuzz.test.js',
  'client/dist/dns-fuzz.test.js',
  'plugins/dns-embedded/dist/fuzz.test.js',
]
process.stderr.write(`seed ${values.seed}\n`)
const done = spawnSync(join(root, 'node_modules', '.bin', 'tap'), ['run', '--timeout=86400', '--jobs=2', ...files], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, FNAAD_FUZZ_CASES: values.cases, FNAAD_SEED: values.seed },
})
process.exitCode = done.status ?? 1
