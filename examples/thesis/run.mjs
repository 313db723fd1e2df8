// Runs the two participants of the thesis until Ctrl-C: makes their user test, password test, and starts both agents.
//
//   node examples/thesis/run.mjs [--unix PORT] [--emiliano PORT] [--dns PORT] [--dns-emiliano PORT] [--data DIR]
//
// Without arguments: 61000 and 51000, names on 5300 and 5301, state in .fnaad/thesis.
import { spawn, spawnSync } from 'node:child_process'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = dirname(fileURLToPath(import.meta.url))
const fnaad = join(here, '..', '..', 'core', 'bin', 'fnaad.js')
const { values } = parseArgs({
  options: {
    unix: { type: 'string' },
    emiliano: { type: 'string' },
    dns: { type: 'string' },
    'dns-emiliano': { type: 'string' },
    data: { type: 'string' },
  },
})
/** An argument goes before the environment, which the configs read. */
const env = { ...process.env }
const set = (name, value) => {
  if (value !== undefined) env[name] = value
}
set('THESIS_UNIX_PORT', values.unix)
set('THESIS_EMILIANO_PORT', values.emiliano)
set('THESIS_UNIX_DNS', values.dns)
set('THESIS_EMILIANO_DNS', values['dns-emiliano'])
set('THESIS_DATA', values.data === undefined ? undefined : resolve(values.data))

const config = domain => join(here, `fnaad.${domain}.ts`)
const run = (domain, args, input) =>
  spawnSync(process.execPath, [fnaad, '--config', config(domain), ...args], { env, input, encoding: 'utf8' })

function addUser(domain) {
  const listed = run(domain, ['user', 'list'])
  if (/^test(?:@|\s|$)/m.test(listed.stdout)) return
  const added = run(domain, ['user', 'add', 'test'], 'test\n')
  if (added.status === 0) return
  process.stderr.write(listed.stderr + added.stderr)
  process.exit(1)
}

/** Starts an agent; resolves when it listens. */
function start(domain) {
  const child = spawn(process.execPath, [fnaad, '--config', config(domain)], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const ready = new Promise((done, fail) => {
    child.once('message', done)
    child.once('exit', code => fail(new Error(`the agent of ${domain} ended with code ${code}`)))
  })
  return { child, ready }
}

const domains = ['unix.ar', 'emiliano.ar']
for (const domain of domains) addUser(domain)
const agents = domains.map(start)
const stop = () => {
  for (const { child } of agents) child.kill('SIGTERM')
}
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop)
try {
  const [unix, emiliano] = await Promise.all(agents.map(a => a.ready))
  const dns = env.THESIS_UNIX_DNS ?? '5300'
  const flow = join(here, '.flow.yml')
  process.stderr.write(`\nfnaa.unix.ar on ${unix.ready[0].port}, fnaa.emiliano.ar on ${emiliano.ready[0].port}. Try:\n`)
  process.stderr.write(
    `  npx fnua --config ${flow} --nameserver 127.0.0.1:${dns} create flow time.flows.unix.ar -d\n\n`,
  )
  process.send?.({ unix: unix.ready, emiliano: emiliano.ready })
} catch (e) {
  process.stderr.write(`${e.message}\n`)
  process.exitCode = 1
  stop()
}
