import { VERSION } from './version.js'

const argv = process.argv.slice(2)

/** The version is asked for by scripts, often: nothing else is loaded for it. */
if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) process.stdout.write(`${VERSION}\n`)
else void start()

/** The exit code is set, never forced: what is on its way to a pipe still gets there. */
async function start(): Promise<void> {
  const { runFnua } = await import('./run.js')
  let interrupted = 0
  const onInterrupt = (handler: () => void) => {
    process.on('SIGINT', () => {
      // The second Ctrl-C does not wait for anything.
      if (++interrupted > 1) process.exit(130)
      handler()
    })
  }
  const { env, stdin, stdout, stderr } = process
  process.exitCode = await runFnua({ argv, env, cwd: process.cwd(), stdin, stdout, stderr, onInterrupt })
}
