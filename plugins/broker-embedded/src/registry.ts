import { realpathSync } from 'node:fs'
import type { Wire } from '@fnaa/core/plugin'

/** What a driver needs of an open broker. An interface, because the driver may be of another copy of this package. */
export interface OpenBroker {
  wire(queue: string): Wire
}

const SYMBOL = Symbol.for('fnaad.broker-embedded')

/** The brokers that are open in this process, by directory. */
export const registry: Map<string, OpenBroker> = shared()

function shared(): Map<string, OpenBroker> {
  const holder = globalThis as { [SYMBOL]?: Map<string, OpenBroker> }
  holder[SYMBOL] ??= new Map()
  return holder[SYMBOL]
}

/** One name for a directory, whatever links lead to it. */
export function canonical(directory: string): string {
  try {
    return realpathSync(directory)
  } catch {
    return directory
  }
}
