import type { BrokerService, Driver, Plugin, Sink, Source, Wire } from '@fnaa/core/plugin'
import { serviceMutants } from './mutants-service.js'
import { sinkMutants } from './mutants-sink.js'
import { sourceMutants } from './mutants-source.js'

/** What a broken broker does otherwise than the good one. */
export interface Breakage {
  service?(good: BrokerService): Partial<BrokerService>
  wire?(good: Wire): Partial<Wire>
  source?(good: Source): Partial<Source>
  sink?(good: Sink): Partial<Sink>
}

/** A way to break a broker, whichever it is: put both around the good one. */
export interface BrokerMutant {
  readonly name: string
  /** A mutant for one plugin instance. */
  make(): { plugin(good: Plugin<'broker'>): Plugin<'broker'>; driver(good: Driver): Driver }
}

/** Brokers that break one promise each. The suite must notice every one: that is the test of the suite. */
export const brokerMutants: readonly BrokerMutant[] = [...serviceMutants, ...sourceMutants, ...sinkMutants].map(
  ([name, breakage]) => ({
    name,
    make() {
      const b = breakage()
      return { plugin: good => breakPlugin(good, b), driver: good => breakDriver(good, b) }
    },
  }),
)

function breakPlugin(good: Plugin<'broker'>, b: Breakage): Plugin<'broker'> {
  return {
    ...good,
    async setup(ctx) {
      const service = (await good.setup(ctx)) as BrokerService
      return { ...service, ...b.service?.(service) }
    },
  }
}

function breakDriver(good: Driver, b: Breakage): Driver {
  return {
    async open(...a) {
      const wire = bound(await good.open(...a))
      const broken = { ...wire, ...b.wire?.(wire) }
      return {
        ...broken,
        async source(...o) {
          const source = bound(await broken.source(...o))
          return { ...source, ...b.source?.(source) }
        },
        async sink(...o) {
          const sink = bound(await broken.sink(...o))
          return { ...sink, ...b.sink?.(sink) }
        },
      }
    },
  }
}

const METHODS = ['source', 'sink', 'read', 'commit', 'lag', 'position', 'write', 'restore', 'close'] as const

/** The methods of an object, of a class or not, so that they can be spread. */
function bound<T extends object>(x: T): T {
  const all = x as Record<string, unknown>
  const found = METHODS.filter(m => typeof all[m] === 'function')
  return Object.fromEntries(found.map(m => [m, (all[m] as () => unknown).bind(x)])) as T
}
