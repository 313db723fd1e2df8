import type { Call, Service } from '../contract/common.js'
import { FnaError, isFna } from '../contract/errors.js'
import type { AnyPlugin } from '../contract/plugin.js'

/** Methods that wait by design: they end by their signal, not by a deadline. */
const UNBOUNDED: ReadonlySet<string> = new Set(['elect', 'watch', 'status', 'start'])

/** A call across the seam that has not settled: a hang then has a name. */
export interface Pending {
  readonly plugin: string
  readonly op: string
  readonly since: number
}
const pending = new Set<Pending>()
/** Calls across the seam that are under way, oldest first. */
export const pendingCalls = (): readonly Pending[] => [...pending]

/** Stamps plugin and operation on an error that crosses the seam; one without a code becomes FNA_ERR_PLUGIN. */
export function stamp(error: unknown, plugin: string, op: string): FnaError {
  const e = isFna(error)
    ? error
    : new FnaError('FNA_ERR_PLUGIN', `${plugin}.${op}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
  e.plugin ??= plugin
  e.op ??= op
  return e
}

/** Rejects with `late()` when `promise` has not settled after `ms` milliseconds. */
export async function deadline<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const alarm = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms)
  })
  try {
    return await Promise.race([promise, alarm])
  } finally {
    clearTimeout(timer)
  }
}

async function bounded(plugin: string, op: string, ms: number, args: unknown[], run: (args: unknown[]) => unknown) {
  const call = args.at(-1) as Call | undefined
  const entry: Pending = { plugin, op, since: Date.now() }
  pending.add(entry)
  try {
    if (!(call?.signal instanceof AbortSignal) || UNBOUNDED.has(op)) return await run(args)
    const ac = new AbortController()
    const onAbort = () => ac.abort(call.signal.reason)
    if (call.signal.aborted) onAbort()
    else call.signal.addEventListener('abort', onAbort, { once: true })
    try {
      const late = () => {
        // After the race is decided: the plugin's own answer to the abort must not be taken for the outcome.
        queueMicrotask(() => ac.abort())
        return new FnaError('FNA_ERR_PLUGIN_TIMEOUT', `${plugin}.${op} took longer than ${ms} ms`)
      }
      return await deadline(Promise.resolve(run([...args.slice(0, -1), { ...call, signal: ac.signal }])), ms, late)
    } finally {
      call.signal.removeEventListener('abort', onAbort)
    }
  } catch (e) {
    throw stamp(e, plugin, op)
  } finally {
    pending.delete(entry)
  }
}

/**
 * Wraps a service once: every call gets a deadline of `ms` milliseconds, is recorded while it is pending, and its error
 * carries the plugin's id. Methods that return plain values or iterables only get their errors stamped.
 */
export function guard<S extends Service>(plugin: Pick<AnyPlugin, 'id'>, service: S, ms: number): S {
  const wrapped = new Map<string, unknown>()
  return new Proxy(service, {
    get(target, key) {
      const value = Reflect.get(target, key, target) as unknown
      if (typeof value !== 'function' || typeof key !== 'string') return value
      const known = wrapped.get(key)
      if (known) return known
      const call = (args: unknown[]) => (value as (...a: unknown[]) => unknown).apply(target, args)
      const fn = (...args: unknown[]) => {
        const last = args.at(-1) as Call | undefined
        if (last?.signal instanceof AbortSignal && !UNBOUNDED.has(key)) return bounded(plugin.id, key, ms, args, call)
        try {
          const result = call(args)
          return result instanceof Promise
            ? result.catch(e => {
                throw stamp(e, plugin.id, key)
              })
            : result
        } catch (e) {
          throw stamp(e, plugin.id, key)
        }
      }
      wrapped.set(key, fn)
      return fn
    },
  })
}
