// Our mover between two real clusters: see ../README.md.
import { installKafka } from '@fnaa/services'
import { exactlyOnce, idle, subscribers } from './costs.mjs'
import { latency } from './latency.mjs'
import { throughput } from './throughput.mjs'

/** @param options `share` of the whole work, `rounds`, `only` rows whose name holds it */
export async function kafka(options = {}) {
  installKafka()
  const { only = '' } = options
  const how = {
    share: Number(options.share ?? 1),
    rounds: Number(options.rounds ?? 3),
    wanted: what => what.includes(only),
  }
  const rows = []
  for (const part of [throughput, latency, subscribers, exactlyOnce, idle]) rows.push(...(await part(how)))
  return rows
}
