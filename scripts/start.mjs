// `npm start`: sets up what is missing, then runs `fnaad dev` with the arguments given.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root, setup } from './setup.mjs'

setup()
const child = spawn(process.execPath, [join(root, 'core', 'bin', 'fnaad.js'), 'dev', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  // What it advises can be typed: as the user has typed this.
  env: { ...process.env, FNAAD_STARTED_AS: 'npm start --' },
})
// Ctrl-C reaches the child by itself: it closes, and then we do.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal ? 1 : 0)
})
