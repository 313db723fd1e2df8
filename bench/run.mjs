// `npm run bench [lines|log|times|dns|kafka]`: figures as ratios in one run; the method stands in bench/README.md.
import { parseArgs } from 'node:util'
import { setup } from '../scripts/setup.mjs'

setup()
const { values: options, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: { share: { type: 'string' }, rounds: { type: 'string' }, only: { type: 'string' } },
})
const all = {
  lines: () => import('./lines.mjs').then(m => m.lines()),
  log: () => import('./log.mjs').then(m => m.log()),
  times: () => import('./times.mjs').then(m => m.times()),
  dns: () => import('./dns.mjs').then(m => m.dns()),
  // An hour with three rounds of everything: only when it is asked for. --share 0.1 moves a tenth, --rounds 1, --only lz4.
  kafka: () => import('./kafka/index.mjs').then(m => m.kafka(options)),
}
const rows = []
for (const [name, run] of Object.entries(all))
  if (asked.length === 0 ? name !== 'kafka' : asked.includes(name)) rows.push(...(await run()))
console.table(rows)
process.exit(0)
