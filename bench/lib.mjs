// What the benchmarks share: processes and their CPU time, medians, ratios, a table.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const median = xs => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)]
export const round = (x, digits = 2) => Number(x.toPrecision(digits + 1))
const TICKS = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100

/** Seconds of CPU that a process has used, user and system. */
export function cpu(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

export function folder() {
  const directory = mkdtempSync(join(tmpdir(), 'fnaad-bench-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** A child whose first line of output is awaited. */
export async function start(args, opt = {}) {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'], ...opt })
  process.on('exit', () => child.kill('SIGKILL'))
  const [first] = await once(child.stdout, 'data')
  return { child, pid: child.pid, first: String(first).trim() }
}

/** An agent in a process of its own, with the user test/test. */
export async function agent({ domain = 'unix.test', neighbours = {}, dnsPort, data = folder(), ca } = {}) {
  const at = {
    domain,
    neighbours,
    data: join(data, domain),
    ca: ca ?? join(data, 'ca'),
    port: await freePort(),
    dnsPort: dnsPort ?? (await freePort()),
  }
  const config = join(data, `${domain}.config.ts`)
  writeFileSync(
    config,
    `import base from ${JSON.stringify(join(root, 'fnaad.config.ts'))}\nexport default { ...base(${JSON.stringify(at)}), limits: { perAddress: 10000, unauthenticated: 10000 }, log: { level: 'error' } }\n`,
  )
  const fnaad = join(root, 'core/bin/fnaad.js')
  spawnSync(process.execPath, [fnaad, '--config', config, 'user', 'add', 'test'], { input: 'test\n' })
  const started = performance.now()
  const child = spawn(process.execPath, [fnaad, '--config', config], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  process.on('exit', () => child.kill('SIGKILL'))
  await once(child, 'message')
  const readyMs = performance.now() - started
  return {
    ...at,
    pid: child.pid,
    readyMs,
    stop: () => {
      child.kill('SIGKILL')
      return once(child, 'exit')
    },
  }
}

/** Interleaves `rounds` of several measurements, so that a noisy minute hits all of them. @returns medians by name */
export async function interleave(rounds, measurements) {
  const found = new Map(Object.keys(measurements).map(k => [k, []]))
  for (let i = 0; i < rounds; i++)
    for (const [name, run] of Object.entries(measurements)) found.get(name).push(await run())
  return Object.fromEntries([...found].map(([k, xs]) => [k, median(xs)]))
}

/** One row of the report: ours over the rival's, and the goal. */
export function row(what, ours, rival, goal, unit = '') {
  const ratio = ours / rival
  const ok =
    goal === undefined ? '' : goal.startsWith('>=') ? ratio >= Number(goal.slice(2)) : ratio <= Number(goal.slice(2))
  return {
    what,
    ours: `${round(ours)} ${unit}`,
    rival: `${round(rival)} ${unit}`,
    ratio: round(ratio),
    goal: goal ?? '',
    reached: ok === '' ? '' : ok ? 'yes' : 'no',
  }
}
