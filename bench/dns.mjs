// Names in a real BIND: flows registered one by one and together; names resolved, cold and from the cache, against dig.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Resolver } from '@fnaa/client'
import { harness } from '@fnaa/conformance'
import { dnsBind } from '@fnaa/dns-bind'
import { flowRecords } from '@fnaa/protocol'
import { Bind, bindUnavailable } from '@fnaa/services'
import { folder, interleave, row } from './lib.mjs'

const ZONE = 'unix.test'
const SEPARATE = 40
const TOGETHER = 1000
const NAMES = 400
const signal = new AbortController().signal
const agent = { host: `fnaa.${ZONE}`, port: 61000 }
const queue = { type: 'fnap', servers: [agent], words: { topic: 'x' } }
const records = flow => flowRecords({ flow, agent, queue })

export async function dns() {
  const missing = bindUnavailable()
  if (missing) throw new Error(missing)
  return [...(await registrations()), ...(await answers())]
}

/** Flows a second, each with three owners, in a signed zone. */
async function registrations() {
  const bind = await Bind.start({ zones: [{ name: ZONE }] })
  const server = `${bind.host}:${bind.port}`
  const h = await harness(dnsBind({ server, zones: [ZONE], keyFile: bind.keyFile(ZONE, 'agent') }))
  let n = 0
  const one = () => h.service.apply(records(`f${n++}.flows.${ZONE}`), { signal })
  const rate = async (flows, run) => {
    const began = performance.now()
    await run(flows)
    return (flows / (performance.now() - began)) * 1000
  }
  const found = await interleave(5, {
    together: () => rate(TOGETHER, flows => Promise.all(Array.from({ length: flows }, one))),
    separate: () =>
      rate(SEPARATE, async flows => {
        for (let i = 0; i < flows; i++) await one()
      }),
  })
  await h.close()
  await bind.stop()
  return [row('flows named in BIND, together against one by one', found.together, found.separate, '>=20', '/s')]
}

/** Milliseconds for a question: never asked before, and asked before, against dig with a list of the same names. */
async function answers() {
  const names = Array.from({ length: NAMES }, (_, i) => `n${i}.${ZONE}`)
  const bind = await Bind.start({ zones: [{ name: ZONE, records: names.map(n => `${n}. TXT "x"`) }] })
  const servers = [{ host: bind.host, port: bind.port }]
  const list = join(folder(), 'names')
  writeFileSync(list, names.map(name => `${name} TXT\n`).join(''))
  const each = async run => {
    const began = performance.now()
    await run()
    return (performance.now() - began) / NAMES
  }
  const all = async resolver => {
    for (const name of names) await resolver.resolve(name, 'TXT', { signal })
  }
  const warm = new Resolver({ servers })
  await all(warm)
  const found = await interleave(7, {
    cold: async () => {
      const resolver = new Resolver({ servers })
      const ms = await each(() => all(resolver))
      resolver.close()
      return ms
    },
    cached: () => each(() => all(warm)),
    dig: () =>
      each(async () => {
        const ran = spawnSync('dig', [`@${bind.host}`, '-p', String(bind.port), '+noall', '+answer', '-f', list])
        if (ran.stdout.toString().split('\n').length < NAMES) throw new Error('dig did not answer')
      }),
  })
  warm.close()
  await bind.stop()
  return [
    row('a name resolved, cold, against dig -f', found.cold, found.dig, undefined, 'ms'),
    row('a name resolved, from the cache, against dig -f', found.cached, found.dig, undefined, 'ms'),
  ]
}
