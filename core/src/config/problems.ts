import { type Schema, Validator } from '@cfworker/json-schema'
import type { Problem } from './rules.js'

/**
 * Checks a value by a JSON Schema (2020-12), which is the plugin's own and not checked itself. Whether it holds is asked of an
 * interpreter: a compiler of schemas took a fifth of an agent's start. Only what does not hold is explained by one.
 */
export async function problemsOf(
  schema: object,
  value: unknown,
  base: readonly string[],
  plugin?: string,
): Promise<Problem[]> {
  if (holds(schema, value)) return []
  const { explain } = await import('./explain.js')
  return explain(schema, value, base, plugin)
}

function holds(schema: object, value: unknown): boolean {
  try {
    return new Validator(schema as Schema, '2020-12').validate(given(value)).valid
  } catch {
    return false // A function, a symbol: nothing that JSON has.
  }
}

/** The value without its undefined members, which an option that is not set is. */
function given(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(given)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .map(([k, v]) => [k, given(v)]),
  )
}
