import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { shellWord, shortPath } from '@fnaa/client'
import type { Advice } from '../bin/explain.js'
import { fnaadDev, fnua } from '../bin/usage.js'
import { type DevOptions, DOMAINS, type Participant } from './dev.js'

/** Commands to try, as they are typed here: the config stands in a folder of its own, so each names it. */
export function hints(participants: readonly Participant[], o: DevOptions, say: (line?: string) => void): void {
  const [first, second] = participants as [Participant, Participant]
  const file = shortPath(join(resolve(o.data ?? '.fnaad'), 'flow.yml'), process.cwd())
  const command = `${fnua()} --config ${shellWord(file)}`
  say()
  say('Try, in another terminal, in this folder:')
  if (o.empty) say(`  ${command} create flow time.${first.namespace} --visibility public`)
  say(`  echo hello | ${command} write time.${first.namespace}`)
  say(`  ${command} read time.${first.namespace} --max 1`)
  say(`  ${command} get subscribers time.${first.namespace}`)
  say(`  ${command} --agent fnaa-${second.domain.split('.')[0]} get subscriptions`)
  say(`  telnet 127.0.0.1 ${first.agent.addresses[0]!.port}`)
  say('Ctrl-C ends it; the state stays.')
  say()
}

/** How to run a second pair beside the first. */
export async function advice(o: DevOptions, port: number): Promise<Advice> {
  const words = [
    ...(o.empty ? ['--empty'] : []),
    ...(o.domains === undefined || o.domains === DOMAINS ? [] : ['--domains', o.domains]),
  ]
  const beside = `--port ${await freePair(port + 10)}`
  const kept = o.data === undefined ? [] : ['--data', o.data]
  return {
    running: `stop it (Ctrl-C where it runs), or run a second pair beside it: ${[fnaadDev(), ...words, beside, '--data', `${o.data ?? '.fnaad'}-2`].join(' ')}`,
    port: `stop it, or choose other ports: ${[fnaadDev(), ...words, beside, ...kept].join(' ')}`,
  }
}

/** A port from `from` on that is free, with a free one behind it; `from` where none is found soon. */
async function freePair(from: number): Promise<number> {
  for (let port = from; port < Math.min(from + 200, 65_000); port += 2) {
    if ((await free(port)) && (await free(port + 1))) return port
  }
  return from
}

const free = (port: number): Promise<boolean> =>
  new Promise(done => {
    const server = createServer().once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
