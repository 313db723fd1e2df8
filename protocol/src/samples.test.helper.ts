import fc from 'fast-check'
import type { Form, Option, ValueSpec, ValueType, Word } from './index.js'
import { RIGHTS } from './index.js'

// Values of every type, for tests of the grammar: one as a client would type it, and arbitrary ones in canonical form.

export const ID = 'abcdefghijklmnopqrstuvwx23'

/** One valid spelling of each type. */
export const TYPED: Readonly<Record<Exclude<ValueType, 'choice' | 'flag' | 'quota'>, string>> = {
  base64: 'AHRlc3QAdGVzdA==',
  bool: 'YES',
  duration: '7D',
  from: 'Latest',
  help: 'noop',
  id: ID.toUpperCase(),
  idOrName: 'FLOW://Time.Flows.Unix.AR.',
  instance: 'kafka_local',
  label: 'Mine-1',
  limit: 'bytes=1M,events=100',
  list: 'kafka,FNAP',
  mechanism: 'plain',
  name: 'flow://Time.Flows.Unix.AR.',
  newName: 'flow://Time.Flows.Unix.AR.',
  number: '007',
  on: 'ns flows.unix.ar',
  rights: 'write,READ',
  selector: 'K2026-a',
  shards: '12',
  size: '10g',
  tags: '"niño,b"',
  text: '"a \\"quoted\\" \\\\ text, FOR bob@x.y"',
  time: '2026-11-24T13:45:00.5+01:00',
  topic: 'time_flows.Unix',
  uri: 'https://unix.ar/schema.json',
  user: 'Alice@Emiliano.AR',
  who: '*@Emiliano.AR',
  whoOrId: 'Emiliano.AR',
  yes: 'yes',
}

/** A valid spelling of this value. */
export function typed(spec: ValueSpec): string {
  if (spec.type === 'choice') return spec.choices![0]!
  if (spec.type === 'quota') return spec.choices!.map(key => `${key}=3`).join(',')
  return spec.type === 'flag' ? '' : TYPED[spec.type]
}

const lower = (alphabet: string, minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength })
const label = fc
  .tuple(lower('abcxyz019', 1, 1), lower('abcxyz019-', 0, 8), lower('abcxyz019', 1, 1))
  .map(parts => parts.join(''))
const top = fc.constantFrom('ar', 'com', 'test', 'x9z')
export const name = fc
  .tuple(fc.array(label, { minLength: 1, maxLength: 4 }), top)
  .map(([ls, t]) => [...ls, t].join('.'))
const id = lower('abcdefghijklmnopqrstuvwxyz234567', 26, 26)
const user = fc.tuple(lower('abz019._+-', 1, 20), name).map(([u, d]) => `${u}@${d}`)
const who = fc.oneof(
  user,
  name.map(d => `*@${d}`),
  name,
  fc.constantFrom('anonymous', '*'),
)
const whole = fc.integer({ min: 1, max: 999_999_999_999_999 })
/** Text with everything that might break out of its quotes. */
export const text = fc
  .array(
    fc.constantFrom(
      'a',
      ' ',
      '"',
      '\\',
      ',',
      '=',
      "'",
      'ñ',
      '€',
      '😀',
      'FOR',
      '" FOR bob@x.y',
      '\\"',
      'ID',
      ' GEN 1',
      '220 OK',
      '%',
      '.',
    ),
    {
      maxLength: 12,
    },
  )
  .map(parts => parts.join(''))

const BY_TYPE: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  base64: fc.uint8Array({ minLength: 1, maxLength: 60 }).map(b => Buffer.from(b).toString('base64')),
  bool: fc.boolean(),
  duration: fc
    .tuple(fc.integer({ min: 1, max: 365 }), fc.constantFrom(1000, 60_000, 3_600_000, 86_400_000))
    .map(([n, unit]) => n * unit),
  from: fc.oneof(
    fc.constantFrom({ at: 'earliest' }, { at: 'latest' }),
    fc.integer({ min: 0, max: 4_000_000_000_000 }).map(time => ({ at: 'time', time })),
  ),
  id,
  idOrName: fc.oneof(id, name),
  instance: lower('abzABZ019', 1, 10),
  label,
  limit: fc.oneof(
    fc.constant('none'),
    fc.record({ bytesPerSecond: whole, eventsPerSecond: whole }),
    fc.record({ bytesPerSecond: whole }),
    fc.record({ eventsPerSecond: whole }),
  ),
  list: fc.uniqueArray(
    lower('abz019-', 1, 6).filter(s => !s.startsWith('-')),
    { minLength: 1, maxLength: 4 },
  ),
  mechanism: lower('ABZ019-_', 1, 20),
  name,
  newName: name.filter(n => n.split('.')[0]!.length < 26),
  number: whole,
  on: fc.record({ kind: fc.constantFrom('Namespace', 'Flow'), name }),
  rights: fc.subarray([...RIGHTS], { minLength: 1 }),
  selector: lower('abz019', 1, 12),
  shards: fc.integer({ min: 1, max: 1000 }),
  size: fc
    .tuple(fc.integer({ min: 1, max: 9999 }), fc.constantFrom(1, 2 ** 10, 2 ** 20, 2 ** 30))
    .map(([n, u]) => n * u),
  tags: fc.uniqueArray(lower('abz0ñ€-"\\', 1, 6), { maxLength: 4 }),
  text,
  time: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  topic: lower('abZ09._-/:', 1, 30),
  uri: lower('abz09/?=.', 1, 20).map(s => `https://${s}`),
  user,
  who,
  whoOrId: fc.oneof(id, who),
  yes: fc.constant(true),
}

/** Any value of this type, as parseCommand gives it. */
export function arbitraryValue(spec: ValueSpec): fc.Arbitrary<unknown> {
  if (spec.type === 'choice') return fc.constantFrom(...spec.choices!)
  if (spec.type === 'quota') return fc.record(Object.fromEntries(spec.choices!.map(key => [key, whole])))
  if (spec.type === 'help') return fc.constantFrom('CREATE FLOW', 'NOOP', 'WHATEVER IT IS')
  const one = BY_TYPE[spec.type]!
  if (spec.many) return fc.array(one, { minLength: 1, maxLength: 3 })
  return spec.listed ? one.map(value => [value]) : one
}

/** Arguments and options of a form: all that must be there, and some that may. */
export function arbitraryCommand(form: Form): fc.Arbitrary<{ args: object; options: object }> {
  const values = form.words.filter((w): w is Extract<Word, { kind: 'value' }> => w.kind === 'value')
  const args = fc.record<Record<string, unknown>>(Object.fromEntries(values.map(w => [w.key, arbitraryValue(w)])), {
    requiredKeys: values.filter(w => !w.optional).map(w => w.key),
  })
  const flags = new Map<string, fc.Arbitrary<unknown>>()
  const plain: Option[] = []
  const about: Option[] = []
  for (const option of form.options.values()) {
    if (option.type === 'flag') flags.set(option.key, fc.constant(option.sets))
    else (option.group === 'about' ? about : plain).push(option)
  }
  const options = fc.record<Record<string, unknown>>(
    {
      ...Object.fromEntries(flags),
      ...Object.fromEntries(plain.map(o => [o.key, arbitraryValue(o)])),
      ...(about.length > 0
        ? {
            about: fc.record(Object.fromEntries(about.map(o => [o.key, arbitraryValue(o)])), {
              requiredKeys: ['title'],
            }),
          }
        : {}),
    },
    { requiredKeys: plain.filter(o => o.required).map(o => o.key) },
  )
  return fc.record({ args, options })
}
