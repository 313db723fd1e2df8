import type { Condition, Conditions } from '../contract/kinds.js'

/** A status that nothing is known of yet. */
export const UNKNOWN: Conditions = { conditions: [] }

export const condition = (s: Conditions, type: string): Condition | undefined => s.conditions.find(c => c.type === type)

/** True when the condition holds for this generation of the spec. */
export function isTrue(s: Conditions, type: string, generation?: number): boolean {
  const c = condition(s, type)
  return c?.status === 'True' && (generation === undefined || c.generation === generation)
}

/** The status with this condition set; `since` only moves when the status does. */
export function withCondition<S extends Conditions>(s: S, c: Condition): S {
  const old = condition(s, c.type)
  const since = old?.status === c.status ? old.since : c.since
  return { ...s, conditions: [...s.conditions.filter(o => o.type !== c.type), { ...c, since }] }
}

/** Did anything but `since` change? A status is written only when it did. */
export function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
