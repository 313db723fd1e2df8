import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { Config } from '../config/define.js'
import { loadConfig } from '../config/load.js'
import { nearest } from '../config/suggest.js'
import { validate } from '../config/validate.js'
import { FnaError } from '../contract/errors.js'
import type { AnyPlugin } from '../contract/plugin.js'
import { offline } from '../offline.js'
import { type AdminRequest, adminCommands, askAgent, runAdmin } from '../server/admin-socket.js'
import { SESSIONS } from '../server/sessions-command.js'
import { fnaad, UsageError } from './usage.js'

const WITH_PASSWORD: ReadonlySet<string> = new Set(['user add', 'user passwd'])

/** `fnaad user …`, `fnaad key …`: in the running agent where there is one, else beside its state. */
export async function admin(path: string, name: string, args: readonly string[]): Promise<number> {
  const loaded = await loadConfig(path)
  const { config, plugins } = await validate(loaded)
  const password = WITH_PASSWORD.has(name) ? { password: await askPassword(args) } : {}
  const request: AdminRequest = { name, args, ...password }
  const lines = await done(config, plugins, request).catch(e => {
    throw unknown(name, e)
  })
  for (const line of lines) process.stdout.write(`${line}\n`)
  return 0
}

const done = async (config: Config, plugins: readonly AnyPlugin[], request: AdminRequest) =>
  (await askAgent(config.data, request)) ?? (await beside(config, plugins, request))

/** `fnaad sessions`: what only a running agent can answer. */
export async function sessions(path: string, args: readonly string[]): Promise<number> {
  const loaded = await loadConfig(path)
  const { config } = await validate(loaded)
  const lines = await askAgent(config.data, { name: SESSIONS.name, args })
  if (!lines)
    throw new FnaError(
      'FNA_ERR_UNAVAILABLE',
      `no agent runs with ${loaded.file}; one that was started with other --data or --domains is asked by the config that it was started with`,
    )
  for (const line of lines) process.stdout.write(`${line}\n`)
  return 0
}

/** A command that no plugin has, with the nearest that there is; any other error as it is. */
function unknown(name: string, e: unknown): unknown {
  const known =
    e instanceof Error ? /^no plugin of the config does .*; there are: (.*)$/.exec(e.message)?.[1] : undefined
  if (known === undefined) return e
  const near = nearest(name, known.split(', '))
  return new UsageError(
    `there is no ${name}: ${near === undefined ? '' : `did you mean ${near}? `}there are ${known}\ntry: ${fnaad()} --help`,
  )
}

async function beside(config: Config, plugins: readonly AnyPlugin[], request: AdminRequest) {
  const booted = await offline(config, plugins)
  try {
    return await runAdmin(adminCommands(booted.loaded), request)
  } finally {
    await booted.close()
  }
}

/** From the terminal without echo, or the first line of standard input. */
async function askPassword(args: readonly string[]): Promise<string> {
  const terminal = process.stdin.isTTY === true
  if (terminal) process.stderr.write(`password for ${args[0] ?? 'the user'}: `)
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: mute, terminal })
  try {
    for await (const line of lines) return line
    return ''
  } finally {
    lines.close()
    if (terminal) process.stderr.write('\n')
  }
}
