import { rmSync } from 'node:fs'
import {
  type Call,
  type Ctx,
  type Dial,
  type Driver,
  FnaError,
  type KeyValue,
  type Kind,
  type Logger,
  type Manifest,
  type Plugin,
  type Services,
} from '@fnaa/core/plugin'
import { TestClock } from './clock.js'
import { MemoryKeyValue } from './memory-kv.js'
import { temporaryDirectory } from './temporary.js'

/** A plugin that has been set up as the kernel does it, with everything around it replaced by what a test can turn. */
export interface Harness<K extends Kind> {
  readonly service: Services[K]
  readonly manifest: Manifest<K>
  /** The driver of the manifest's module; null where it names none. */
  readonly driver: Driver | null
  readonly ctx: Ctx
  readonly clock: TestClock
  /** What the plugin logged as a warning or an error. */
  readonly logged: readonly object[]
  /** Closes the service alone. A service is closed once: whoever closes it does so through here. */
  stop(): Promise<void>
  /** Closes the service and sets the plugin up again with the same context, as a new process would. */
  restart(): Promise<Services[K]>
  /** Closes the service and removes its directory. */
  close(): Promise<void>
}

export interface HarnessOptions {
  readonly clock?: TestClock
  readonly state?: KeyValue
  /** Absent: a directory of its own, removed by `close`. */
  readonly directory?: string
  /** Absent: every dial is refused. */
  readonly dial?: Dial
  /** Puts something around the driver that was loaded. */
  readonly driver?: (loaded: Driver) => Driver
}

/** Boots one plugin. @throws what its `setup` throws */
export async function harness<K extends Kind>(plugin: Plugin<K>, opt: HarnessOptions = {}): Promise<Harness<K>> {
  const clock = opt.clock ?? new TestClock()
  const directory = opt.directory ?? temporaryDirectory()
  const end = new AbortController()
  const logged: object[] = []
  const ctx = context(plugin.id, { ...opt, clock, directory }, logged, end.signal)
  const loaded = await load(plugin.manifest.driver)
  const driver = loaded && opt.driver ? opt.driver(loaded) : loaded
  let service = await plugin.setup(ctx)
  let open = true
  const stop = async () => {
    if (!open) return
    open = false
    await service.close()
  }
  return {
    get service() {
      return service
    },
    manifest: plugin.manifest,
    driver,
    ctx,
    clock,
    logged,
    stop,
    async restart() {
      await stop()
      service = await plugin.setup(ctx)
      open = true
      return service
    },
    async close() {
      end.abort()
      try {
        await stop()
      } finally {
        if (opt.directory === undefined) rmSync(directory, { recursive: true, force: true })
      }
    },
  }
}

/** A call that nobody gives up, or that ends with `signal`. */
export const call = (signal: AbortSignal = new AbortController().signal): Call => ({ signal })

async function load(module: string | undefined): Promise<Driver | null> {
  if (module === undefined) return null
  return ((await import(module)) as { default: Driver }).default
}

function context(
  id: string,
  opt: HarnessOptions & { clock: TestClock; directory: string },
  logged: object[],
  signal: AbortSignal,
): Ctx {
  const loud = (o: object, m?: string) => void logged.push({ ...o, ...(m !== undefined && { msg: m }) })
  const log: Logger = { debug() {}, info() {}, warn: loud, error: loud }
  const refuse = async (what: string): Promise<never> => {
    throw new FnaError('FNA_ERR_UNAVAILABLE', `the harness has no ${what}`)
  }
  return {
    id,
    log,
    signal,
    agent: { host: 'fnaa.unix.test', domains: ['unix.test'], directory: opt.directory },
    state: opt.state ?? new MemoryKeyValue(),
    dial: opt.dial ?? (() => refuse('network')),
    resolve: () => refuse('resolver'),
    clock: opt.clock,
    hash: work => work(),
  }
}
