import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Json, Port, Run, RunStatus } from '@fnaa/core/plugin'
import type { From, Position } from '@fnaa/protocol'
import type { GrpcObject, ServiceClientConstructor, ServiceDefinition } from '@grpc/grpc-js'
import type { RunSpec } from './run-spec.js'

const require = createRequire(import.meta.url)

/** Messages as proto-loader gives them: longs as numbers, absent messages as null. */
export interface PortMessage {
  name: string
  endpoint: {
    type: string
    servers: string[]
    queue: string
    reader: string
    tls: { servername: string; ca: string } | null
    options: string
  }
  credential: { mechanism: string; values: Record<string, string> } | null
  from: string
  driver: string
  foreign: boolean
  stood: string
  marker: string
  markerAwaited: boolean
}
export interface CreateMessage {
  id: string
  epoch: number
  program: string
  config: string
  sources: PortMessage[]
  sinks: PortMessage[]
  paused: boolean
  exactlyOnce: boolean
  network: { servers: string[]; trustAd: boolean; allow: string[] } | null
}
export interface StatusMessage {
  id: string
  epoch: number
  phase: 'STARTING' | 'RUNNING' | 'PAUSED' | 'FAILED' | 'GONE'
  error: string
  positions: string
  rates: Record<string, number>
  sourceEpoch: string
  sinks: string
}

/** The service's definition and client, from the .proto that is shipped beside this file. */
export function loadService(): { definition: ServiceDefinition; Client: ServiceClientConstructor } {
  const grpc = require('@grpc/grpc-js') as typeof import('@grpc/grpc-js')
  const loader = require('@grpc/proto-loader') as typeof import('@grpc/proto-loader')
  const file = fileURLToPath(new URL('./flow_processor.proto', import.meta.url))
  const definition = loader.loadSync(file, { longs: Number, enums: String, defaults: true })
  const pkg = grpc.loadPackageDefinition(definition) as unknown as { fnaad: { processor: { v1: GrpcObject } } }
  const Client = pkg.fnaad.processor.v1['FlowProcessor'] as ServiceClientConstructor
  return { definition: Client.service, Client }
}

const portMessage = (p: Port, secrets: RunSpec['secrets']): PortMessage => ({
  name: p.name,
  endpoint: {
    type: p.endpoint.type,
    servers: [...p.endpoint.servers],
    queue: p.endpoint.queue,
    reader: p.endpoint.reader ?? '',
    tls: p.endpoint.tls ? { servername: p.endpoint.tls.servername ?? '', ca: p.endpoint.tls.ca ?? '' } : null,
    options: p.endpoint.options === undefined ? '' : JSON.stringify(p.endpoint.options),
  },
  credential:
    p.secret !== undefined && secrets[p.secret]
      ? { mechanism: secrets[p.secret]!.mechanism, values: { ...secrets[p.secret]!.values } }
      : null,
  from: p.from === undefined ? '' : JSON.stringify(p.from),
  driver: p.driver,
  foreign: p.foreign,
  stood: p.stood === undefined ? '' : JSON.stringify(p.stood),
  marker: p.marker?.id ?? '',
  markerAwaited: p.marker?.awaited ?? false,
})

export const toMessage = ({ run, secrets }: RunSpec): CreateMessage => ({
  id: run.id,
  epoch: run.epoch,
  program: run.program,
  config: JSON.stringify(run.config),
  sources: run.sources.map(p => portMessage(p, secrets)),
  sinks: run.sinks.map(p => portMessage(p, secrets)),
  paused: run.desired === 'pause',
  exactlyOnce: run.guarantee === 'exactly-once',
  network: { servers: [...run.network.servers], trustAd: run.network.trustAd, allow: [...run.network.allow] },
})

function portOf(
  m: PortMessage,
  index: number,
  secrets: Record<string, { mechanism: string; values: Record<string, string> }>,
): Port {
  const secret = String(index)
  if (m.credential) secrets[secret] = m.credential
  const tls = m.endpoint.tls
  return {
    name: m.name,
    endpoint: {
      type: m.endpoint.type,
      servers: m.endpoint.servers,
      queue: m.endpoint.queue,
      ...(m.endpoint.reader === '' ? {} : { reader: m.endpoint.reader }),
      ...(tls
        ? { tls: { ...(tls.servername ? { servername: tls.servername } : {}), ...(tls.ca ? { ca: tls.ca } : {}) } }
        : {}),
      ...(m.endpoint.options === '' ? {} : { options: JSON.parse(m.endpoint.options) as Json }),
    },
    secret,
    ...(m.from === '' ? {} : { from: JSON.parse(m.from) as From }),
    driver: m.driver,
    foreign: m.foreign,
    ...(m.stood === '' ? {} : { stood: JSON.parse(m.stood) as Position }),
    ...(m.marker === '' ? {} : { marker: { id: m.marker, awaited: m.markerAwaited } }),
  }
}

export function fromMessage(m: CreateMessage): RunSpec {
  const secrets: Record<string, { mechanism: string; values: Record<string, string> }> = {}
  const run: Run = {
    id: m.id,
    epoch: m.epoch,
    program: m.program,
    config: JSON.parse(m.config || 'null') as Json,
    sources: m.sources.map((p, i) => portOf(p, i, secrets)),
    sinks: m.sinks.map((p, i) => portOf(p, m.sources.length + i, secrets)),
    desired: m.paused ? 'pause' : 'run',
    guarantee: m.exactlyOnce ? 'exactly-once' : 'at-least-once',
    network: m.network ?? { servers: [], trustAd: false, allow: [] },
  }
  return { run, secrets }
}

export const toStatusMessage = (s: RunStatus): StatusMessage => ({
  id: s.id,
  epoch: s.epoch,
  phase: s.phase.toUpperCase() as StatusMessage['phase'],
  error: s.error ?? '',
  positions: s.positions ? JSON.stringify(s.positions) : '',
  rates: { ...s.rates },
  sourceEpoch: s.sourceEpoch ?? '',
  sinks: s.sinks ? JSON.stringify(s.sinks) : '',
})

export const fromStatusMessage = (m: StatusMessage): RunStatus => ({
  id: m.id,
  epoch: m.epoch,
  phase: m.phase.toLowerCase() as RunStatus['phase'],
  ...(m.error === '' ? {} : { error: m.error }),
  ...(m.positions === '' ? {} : { positions: JSON.parse(m.positions) as NonNullable<RunStatus['positions']> }),
  rates: m.rates,
  ...(m.sourceEpoch === '' ? {} : { sourceEpoch: m.sourceEpoch }),
  ...(m.sinks === '' ? {} : { sinks: JSON.parse(m.sinks) as NonNullable<RunStatus['sinks']> }),
})
