// `npm test`: sets up what is missing, then runs every test; arguments are passed on to tap (a file, -g PATTERN …).
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { prepareTests, root, setup } from './setup.mjs'

/**
 * Everything in `tap` (the whole of a run) that failed, each with the YAML that says why: what a reader of a long log wants
 * last. A line of a file, of a subtest and of an assertion are all kept, so that one sees what is inside what.
 */
function failures(tap) {
  const found = []
  let indent
  for (const line of tap.split('\n')) {
    const at = line.search(/\S/)
    if (indent !== undefined && line.trim() === '...' && at === indent + 2) {
      found.push(line)
      indent = undefined
    } else if (indent !== undefined && (at === -1 || at > indent)) found.push(line)
    else if (/^ *not ok /.test(line) && !/ # (?:skip|todo)\b/i.test(line)) {
      found.push(line)
      indent = at
    } else indent = undefined
  }
  return found
}

setup()
prepareTests()
const args = process.argv.slice(2)
const log = join(root, '.tap', 'last.tap')
mkdirSync(join(root, '.tap'), { recursive: true })
rmSync(log, { force: true })
const tap = join(root, 'node_modules', '.bin', 'tap')
const done = spawnSync(tap, ['run', `--output-file=${log}`, ...args], { cwd: root, stdio: 'inherit' })
process.exitCode = done.status ?? 1
if (process.exitCode !== 0) {
  let found = []
  try {
    found = failures(readFileSync(log, 'utf8'))
  } catch {
    // tap itself did not start: it has said so.
  }
  if (found.length > 0) console.log(`\nWhat failed (the whole run is in ${log}):\n\n${found.join('\n')}`)
}
