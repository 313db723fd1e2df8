import type { Sink, Source, Wire } from '@fnaa/core/plugin'
import { aborted } from '@fnaa/lib-lmdb'
import type { EmbeddedBroker } from './broker.js'
import { fenceOf } from './fences.js'
import { checkName } from './queue.js'
import { openSink } from './sink.js'
import { EmbeddedSource } from './source.js'
import { startAt } from './start.js'

/** The data face of one queue. */
export function openWire(broker: EmbeddedBroker, name: string): Wire {
  const open = new Set<Source | Sink>()
  const keep = <T extends Source | Sink>(x: T): T => {
    open.add(x)
    return x
  }
  return {
    async source({ reader, epoch, from }, c) {
      broker.open()
      if (c.signal.aborted) throw aborted(c.signal)
      checkName('reader', reader)
      const queue = broker.queues.get(name)
      await broker.fences.raise(fenceOf('read', name, reader), epoch, c.signal)
      return keep(
        new EmbeddedSource(broker, queue, { reader, epoch }, startAt(queue, broker.readers.get(name, reader), from)),
      )
    },
    async sink({ writer, epoch }, c) {
      broker.open()
      if (c.signal.aborted) throw aborted(c.signal)
      checkName('writer', writer)
      broker.queues.get(name)
      await broker.fences.raise(fenceOf('write', name, writer), epoch, c.signal)
      return keep(openSink(broker, name, { writer, epoch }))
    },
    async close() {
      await Promise.all(Array.from(open, x => x.close()))
      open.clear()
    },
  }
}
