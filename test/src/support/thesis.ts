import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { folder, freePort, type Teardown } from './agents.js'
import { Raw } from './raw.js'

export const EXAMPLE = fileURLToPath(new URL('../../../examples/thesis/', import.meta.url))
/** `\0test\0test` in base64, as the thesis prints it. */
export const CREDENTIAL = 'AHRlc3QAdGVzdA=='

/** The two participants of examples/thesis, running. */
export interface Thesis {
  readonly unix: number
  readonly emiliano: number
  /** `host:port` of each one's name server. */
  readonly dns: { readonly unix: string; readonly emiliano: string }
  readonly data: string
  /** The lines of both logs so far. */
  readonly log: () => Record<string, unknown>[]
}

/** Runs examples/thesis/run.mjs on free ports, until the end of the test. */
export async function thesis(t: Teardown): Promise<Thesis> {
  const data = await folder(t)
  const [unix, emiliano, dnsUnix, dnsEmiliano] = (await ports(4)) as [number, number, number, number]
  const args = ['--unix', unix, '--emiliano', emiliano, '--dns', dnsUnix, '--dns-emiliano', dnsEmiliano, '--data', data]
  const child = fork(join(EXAMPLE, 'run.mjs'), args.map(String), {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, THESIS_LOG: 'debug' },
  })
  t.teardown(() => stopped(child))
  const text = gather(child)
  await ready(child, text)
  return {
    unix,
    emiliano,
    dns: { unix: `127.0.0.1:${dnsUnix}`, emiliano: `127.0.0.1:${dnsEmiliano}` },
    data,
    log: () => logLines(text()),
  }
}

/** Ports that nobody has now, all different. */
export async function ports(n: number): Promise<number[]> {
  const found = new Set<number>()
  while (found.size < n) found.add(await freePort())
  return [...found]
}

/** What a child has written so far, both streams. */
export function gather(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (d: Buffer) => {
      text += d.toString('utf8')
    })
  }
  return () => text
}

/** Resolves with the child's first message. @throws where it ends before */
export async function ready(child: ChildProcess, text: () => string): Promise<unknown> {
  const ended = once(child, 'exit').then(() => {
    throw new Error(`it did not start:\n${text()}`)
  })
  const [message] = (await Promise.race([once(child, 'message'), ended])) as [unknown]
  return message
}

/** Ends a child by its id, in good order. */
export async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

export function logLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap(line => {
    try {
      return line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []
    } catch {
      return []
    }
  })
}

/** A telnet session, logged in as the thesis does it. */
export async function telnet(t: Teardown, port: number): Promise<Raw> {
  const raw = await Raw.open(t, port)
  await raw.line()
  raw.send('AUTHENTICATE PLAIN\r\n')
  await raw.line()
  raw.send(`${CREDENTIAL}\r\n`)
  await raw.line()
  return raw
}

/** The thesis's own `.flow.yml`, private as fnua wants it. @returns its folder */
export async function flowYml(t: Teardown): Promise<string> {
  const directory = await folder(t)
  await copyFile(join(EXAMPLE, '.flow.yml'), join(directory, 'flow.yml'))
  await chmod(join(directory, 'flow.yml'), 0o600)
  return directory
}
