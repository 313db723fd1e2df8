import type { ErrorObject } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Problem } from './rules.js'
import { nearest } from './suggest.js'

const ajv = new Ajv2020({ allErrors: true, strict: false, validateSchema: false, meta: false })

/** Every rule of the schema that the value breaks, in an operator's words. */
export function explain(schema: object, value: unknown, base: readonly string[], plugin?: string): Problem[] {
  const check = ajv.compile(schema)
  if (check(value)) return []
  const errors = meant(check.errors ?? [])
  // Who misspelt an option does not lack it.
  const misspelt = new Set(errors.map(e => `${e.instancePath}/${intended(e, schema)}`))
  return errors
    .filter(e => e.keyword !== 'required' || !misspelt.has(`${e.instancePath}/${e.params['missingProperty']}`))
    .map(e => problem(e, schema, value, base, plugin))
}

/** Options beside an unknown one. */
const known = (e: ErrorObject, schema: object): string[] =>
  Object.keys((valueAt(schema, schemaPath(e)) as { properties?: object })?.properties ?? {})
/** The option that an unknown one was probably meant to be. */
const intended = (e: ErrorObject, schema: object): string | undefined =>
  e.keyword === 'additionalProperties' ? nearest(String(e.params['additionalProperty']), known(e, schema)) : undefined

/** Of each choice between forms, the errors of the form that was meant: the one with the fewest. Outer choices first. */
function meant(errors: readonly ErrorObject[]): ErrorObject[] {
  let left = [...errors]
  const deepest = Math.max(0, ...errors.map(e => branchesOf(e).length))
  for (let depth = 0; depth < deepest; depth++) left = chosen(left, depth)
  return left.filter(e => !isChoice(e))
}

/** The forms in which an error lies, outermost first. */
const branchesOf = (e: ErrorObject): { readonly choice: string; readonly branch: string }[] =>
  [...e.schemaPath.matchAll(/\/(?:oneOf|anyOf)\/(\d+)(?=\/)/g)].map(m => ({
    choice: e.schemaPath.slice(0, m.index + m[0].lastIndexOf('/')),
    branch: m[1] as string,
  }))

function chosen(errors: readonly ErrorObject[], depth: number): ErrorObject[] {
  const misfits = new Map<string, Map<string, number>>()
  const at = (choice: string, e: ErrorObject) => `${choice} ${root(choice, e, errors)}`
  for (const e of errors) {
    const found = branchesOf(e)[depth]
    if (!found || isChoice(e)) continue
    const key = at(found.choice, e)
    const counts = misfits.get(key) ?? new Map<string, number>()
    // A text where an object is meant, or the word that another form begins with, is another form altogether.
    const other = e.keyword === 'const' || (e.keyword === 'type' && e.instancePath === root(found.choice, e, errors))
    const weight = other ? 100 : 1
    misfits.set(key, counts.set(found.branch, (counts.get(found.branch) ?? 0) + weight))
  }
  return errors.filter(e => {
    const found = branchesOf(e)[depth]
    const counts = found && misfits.get(at(found.choice, e))
    if (!counts) return true
    const [best] = [...counts].sort((a, b) => a[1] - b[1] || Number(a[0]) - Number(b[0]))
    return best?.[0] === found.branch
  })
}

const isChoice = (e: ErrorObject): boolean => e.keyword === 'oneOf' || e.keyword === 'anyOf'

/** The value to which a choice applied, around an error of one of its forms. */
const root = (choice: string, e: ErrorObject, errors: readonly ErrorObject[]): string =>
  errors.find(o => isChoice(o) && o.schemaPath === choice && within(e, o))?.instancePath ?? e.instancePath
const within = (e: ErrorObject, o: ErrorObject): boolean => `${e.instancePath}/`.startsWith(`${o.instancePath}/`)

function problem(e: ErrorObject, schema: object, value: unknown, base: readonly string[], plugin?: string): Problem {
  const path = e.instancePath.split('/').slice(1)
  const prefix = plugin ? `plugin '${plugin}': ` : ''
  const name = prefix + [...(plugin ? ['options'] : []), ...path].join('.')
  if (e.keyword === 'additionalProperties') {
    const unknown = String(e.params['additionalProperty'])
    const hint = intended(e, schema)
    const advice = hint ? `did you mean ${hint}?` : `known are: ${known(e, schema).join(', ') || 'none'}`
    return {
      path: [...base, ...path, unknown],
      message: `${name ? `${name}.` : ''}${unknown} is not an option; ${advice}`,
    }
  }
  if (e.keyword === 'required') {
    const missing = String(e.params['missingProperty'])
    return { path: [...base, ...path], message: `${name ? `${name}.` : ''}${missing} is missing: the agent needs it` }
  }
  if (e.keyword === 'dependentRequired') {
    const { missingProperty: missing, property } = e.params as { missingProperty: string; property: string }
    return {
      path: [...base, ...path, property],
      message: `${name ? `${name}.` : ''}${missing} is missing: ${property} says something of it only`,
    }
  }
  return {
    path: [...base, ...path],
    message: `${name || 'the config'} is ${SECRET.test(path.at(-1) ?? '') ? 'not as it has to be' : shown(valueAt(value, path))}: it ${rule(e, schema)}`,
  }
}

/** The rule that a value breaks, in words: of a pattern, what the schema says of it. */
function rule(e: ErrorObject, schema: object): string {
  if (e.keyword === 'enum') return `must be one of ${(e.params['allowedValues'] as unknown[]).join(', ')}`
  if (e.keyword === 'const') return `must be ${String(e.params['allowedValue'])}`
  const { description, examples } = (valueAt(schema, schemaPath(e)) ?? {}) as {
    description?: string
    examples?: string[]
  }
  if (e.keyword !== 'pattern' || description === undefined) return e.message ?? 'is wrong'
  return `must be ${description}${examples?.[0] === undefined ? '' : `, such as ${examples[0]}`}`
}

/** The schema's own way to what was broken, less the keyword. */
const schemaPath = (e: ErrorObject): string[] => e.schemaPath.replace(/^#\/?/, '').split('/').slice(0, -1)

const valueAt = (root: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((v, word) => (v as Record<string, unknown> | undefined)?.[word], root)

const LONGEST = 60
/** Options whose values are nobody's business. */
const SECRET = /pass|secret|token|credential|private|sasl/i
/** A value as an operator wrote it, cut where it is long; of what has options, their names: a password may be among them. */
function shown(value: unknown): string {
  if (Array.isArray(value) && value.some(v => typeof v === 'object')) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return `{ ${Object.keys(value).join(', ')} }`.slice(0, LONGEST)
  const text = typeof value === 'string' && value !== '' ? value : (JSON.stringify(value) ?? String(value))
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}
