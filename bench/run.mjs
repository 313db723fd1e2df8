// `npm run bench [lines|log|times]`: figures as ratios in one run; the method stands in bench/README.md.
import { setup } from '../scripts/setup.mjs'

setup()
const asked = process.argv.slice(2)
const all = {
  lines: () => import('./lines.mjs').then(m => m.lines()),
  log: () => import('./log.mjs').then(m => m.log()),
  times: () => import('./times.mjs').then(m => m.times()),
}
const rows = []
for (const [name, run] of Object.entries(all))
  if (asked.length === 0 || asked.includes(name)) rows.push(...(await run()))
console.table(rows)
process.exit(0)
