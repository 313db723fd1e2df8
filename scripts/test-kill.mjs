// `npm run test:kill -- --kills N --load N --kafka N --away MINUTES --seed S --log FILE`: the kill tests whole. Defaults: 1000 of
// each, clusters that are away for 10 minutes, a new seed (printed), `kafka-kill-SEED.log`. The Kafka kills write each kill and each
// round's result there; `--resume FILE` goes on from it.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { root, setupTests } from './setup.mjs'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    load: { type: 'string', default: '1000' },
    kafka: { type: 'string', default: '1000' },
    away: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    log: { type: 'string' },
    resume: { type: 'string' },
  },
})
const log = resolve(values.resume ?? values.log ?? `kafka-kill-${values.seed}.log`)
if (values.resume && !existsSync(log)) {
  process.stderr.write(`${log} is not there: nothing to go on from\n`)
  process.exit(2)
}
if (values.resume) {
  // The first line says what was to be run: what has ended well since is not run again.
  const [first] = readFileSync(log, 'utf8').split('\n')
  const { seed, kafka } = JSON.parse(first)
  Object.assign(values, { seed: String(seed), kafka: String(kafka), kills: '0', load: '0', away: '0' })
} else if (values.kafka !== '0') {
  if (existsSync(log)) {
    process.stderr.write(`${log} is there already: go on from it by --resume, or name another by --log\n`)
    process.exit(2)
  }
  writeFileSync(log, `${JSON.stringify({ seed: Number(values.seed), kafka: Number(values.kafka) })}\n`)
}
setupTests()
process.stderr.write(`seed ${values.seed}${values.kafka === '0' ? '' : `, log ${log}`}\n`)
const files = [
  values.kills !== '0' && 'test/dist/kill-steps.test.js',
  values.load !== '0' && 'test/dist/kill-load.test.js',
  values.kafka !== '0' && 'test/dist/kafka-kill.test.js',
  values.away !== '0' && 'test/dist/kafka-refusals.test.js',
].filter(Boolean)
const done = spawnSync(join(root, 'node_modules', '.bin', 'tap'), ['run', '--timeout=86400', ...files], {
  cwd: root,
  stdio: 'inherit',
  env: {
    ...process.env,
    FNAAD_KILLS: values.kills,
    FNAAD_LOAD_KILLS: values.load,
    FNAAD_KAFKA_KILLS: values.kafka,
    FNAAD_KAFKA_LOG: log,
    FNAAD_AWAY_MS: String(Number(values.away) * 60_000),
    FNAAD_SEED: values.seed,
  },
})
process.exitCode = done.status ?? 1
