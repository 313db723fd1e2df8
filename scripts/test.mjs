// `npm test`: sets up what is missing, then runs every test; arguments are passed on to tap (a file, -g PATTERN …).
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { root, setupTests } from './setup.mjs'

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

setupTests()
const command = [join(root, 'node_modules', '.bin', 'tap'), ['run', ...process.argv.slice(2)]]
if (process.stdout.isTTY) {
  // tap's reporter for a terminal ends with what failed.
  process.exitCode = spawnSync(...command, { cwd: root, stdio: 'inherit' }).status ?? 1
} else {
  // tap's own --output-file would print everything twice where standard output is no terminal.
  const log = join(root, '.tap', 'last.tap')
  mkdirSync(join(root, '.tap'), { recursive: true })
  const run = spawn(...command, { cwd: root, stdio: ['inherit', 'pipe', 'inherit'] })
  run.stdout.pipe(process.stdout)
  const [[status]] = await Promise.all([once(run, 'close'), pipeline(run.stdout, createWriteStream(log))])
  process.exitCode = status ?? 1
  const found = status === 0 ? [] : failures(readFileSync(log, 'utf8'))
  if (found.length > 0) console.log(`\nWhat failed (the whole run is in ${log}):\n\n${found.join('\n')}`)
}
