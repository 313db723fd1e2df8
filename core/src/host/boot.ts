import avvio from 'avvio'
import type { Ctx, Kind, Service } from '../contract/common.js'
import { KINDS } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'
import type { AnyPlugin, Services } from '../contract/plugin.js'
import { CONTRACT } from '../contract/plugin.js'
import { deadline, guard, stamp } from './guard.js'

/** A plugin that has been set up. */
export interface Loaded<K extends Kind = Kind> {
  readonly plugin: Extract<AnyPlugin, { manifest: { kind: K } }>
  readonly service: Services[K]
}
export interface Booted {
  readonly loaded: readonly Loaded[]
  /** Closes in reverse order, each within its deadline. @throws AggregateError that holds every failure */
  close(): Promise<void>
}
/** Milliseconds. */
export interface Deadlines {
  readonly setup: number
  readonly call: number
  readonly close: number
}
export const DEADLINES: Deadlines = { setup: 10_000, call: 30_000, close: 5_000 }

const list = (items: readonly string[]) => items.map(i => `'${i}'`).join(' and ')

/** Two plugins that offer the same thing, and wrong contract numbers, before anything is set up. */
export function checkPlugins(plugins: readonly AnyPlugin[]): void {
  const seen = new Map<string, string>()
  const claim = (what: string, id: string) => {
    const other = seen.get(what)
    if (other !== undefined) {
      throw new FnaError(
        'FNA_ERR_PLUGIN_DUPLICATE',
        `${list([other, id])} both offer ${what}: remove one from plugins, or give it another id`,
      )
    }
    seen.set(what, id)
  }
  for (const { manifest, id } of plugins) {
    if (!KINDS.includes(manifest.kind)) {
      throw new FnaError('FNA_ERR_CONFIG', `plugin '${id}' is of the unknown kind '${String(manifest.kind)}'`)
    }
    if (manifest.contract !== CONTRACT) {
      const side = manifest.contract > CONTRACT ? 'upgrade fnaad' : `upgrade ${manifest.name}`
      throw new FnaError(
        'FNA_ERR_PLUGIN_CONTRACT',
        `plugin '${id}' was written for contract ${manifest.contract}, this kernel has ${CONTRACT}: ${side}`,
      )
    }
    claim(`the id '${id}'`, id)
    if (manifest.kind === 'store') claim('the store', id)
    if (manifest.kind === 'auth') for (const m of manifest.supports.mechanisms) claim(`the mechanism ${m}`, id)
    if (manifest.kind === 'processor') {
      claim(`the processor type '${manifest.supports.type}'`, id)
      for (const v of manifest.supports.verbs) claim(`the verb ${v}`, id)
    }
  }
}

/** Kind order; within a kind, the order of the config. */
export function bootOrder(plugins: readonly AnyPlugin[]): AnyPlugin[] {
  return KINDS.flatMap(kind => plugins.filter(p => p.manifest.kind === kind))
}

/**
 * Sets the plugins up, one after another, over avvio: it queues the boot, this layer adds what it lacks (deadlines that
 * name the plugin, clean-up after a failed boot, a close that cannot hang).
 * @throws FNA_ERR_PLUGIN_SETUP, FNA_ERR_PLUGIN_TIMEOUT, or what {@link checkPlugins} throws; what was set up is closed again.
 */
export async function boot(
  plugins: readonly AnyPlugin[],
  context: (plugin: AnyPlugin, loaded: readonly Loaded[]) => Promise<Ctx>,
  limits: Deadlines = DEADLINES,
): Promise<Booted> {
  checkPlugins(plugins)
  const loaded: Loaded[] = []
  const app = avvio({}, { timeout: 0, autostart: false })
  for (const plugin of bootOrder(plugins)) {
    const step = async () => {
      loaded.push(await setUp(plugin, await context(plugin, loaded), limits))
    }
    app.use(Object.defineProperty(step, 'name', { value: plugin.id }))
  }
  app.start()
  const close = () => closeAll(loaded, limits.close)
  try {
    await app.ready()
  } catch (e) {
    await close().catch((closing: AggregateError) => {
      ;(e as { closing?: readonly unknown[] }).closing = closing.errors
    })
    throw e
  }
  return { loaded, close }
}

async function setUp(plugin: AnyPlugin, ctx: Ctx, limits: Deadlines): Promise<Loaded> {
  const late = () =>
    new FnaError('FNA_ERR_PLUGIN_TIMEOUT', `plugin '${plugin.id}' was not set up within ${limits.setup} ms`)
  for (const sentence of plugin.advice?.() ?? []) ctx.log.warn({}, sentence)
  const run: Promise<Service> = plugin.setup(ctx)
  try {
    const service = await deadline(run, limits.setup, late)
    return { plugin, service: guard(plugin, service, limits.call) } as Loaded
  } catch (e) {
    // A setup that finishes after its deadline still holds what it opened.
    void run.then(s => s.close()).catch(() => undefined)
    const stamped = stamp(e, plugin.id, 'setup')
    if (stamped.code !== 'FNA_ERR_PLUGIN') throw stamped
    const error = new FnaError(
      'FNA_ERR_PLUGIN_SETUP',
      `plugin '${plugin.id}' failed in setup: ${(e as Error).message}`,
      {
        cause: e,
      },
    )
    throw stamp(error, plugin.id, 'setup')
  }
}

async function closeAll(loaded: Loaded[], ms: number): Promise<void> {
  const errors: unknown[] = []
  for (const { plugin, service } of loaded.splice(0).reverse()) {
    const late = () => new FnaError('FNA_ERR_PLUGIN_CLOSE', `plugin '${plugin.id}' did not close within ${ms} ms`)
    try {
      await deadline(service.close(), ms, late)
    } catch (e) {
      errors.push(stamp(e, plugin.id, 'close'))
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} plugin(s) failed to close`)
}
