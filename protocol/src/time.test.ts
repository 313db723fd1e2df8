import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import { formatTime, parseTime } from './index.js'

t.test('RFC 3339', async t => {
  const good: [string, number][] = [
    ['1970-01-01T00:00:00Z', 0],
    ['1985-04-12T23:20:50.52Z', Date.UTC(1985, 3, 12, 23, 20, 50, 520)],
    ['1996-12-19t16:39:57-08:00', Date.UTC(1996, 11, 20, 0, 39, 57)],
    ['1990-12-31T23:59:60Z', Date.UTC(1991, 0, 1)],
    ['1937-01-01T12:00:27.87+00:20', Date.UTC(1937, 0, 1, 11, 40, 27, 870)],
    ['2024-02-29T00:00:00.123456789z', Date.UTC(2024, 1, 29, 0, 0, 0, 123)],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
  ]
  for (const [text, ms] of good) t.equal(parseTime(text), ms, text)
  const bad = [
    '',
    '2026',
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2026-01-01 00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:61Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+0100',
    '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00.1234567890Z',
    '+2026-01-01T00:00:00Z',
    '٢٠٢٦-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z ',
    '1700000000000',
  ]
  for (const text of bad) fails(t, () => parseTime(text), 'BADVALUE', text)
  t.equal(formatTime(0), '1970-01-01T00:00:00Z')
  t.equal(formatTime(520), '1970-01-01T00:00:00.520Z')
  for (const ms of [Number.NaN, 1e15, -1e15]) t.throws(() => formatTime(ms), RangeError)
  fc.assert(
    fc.property(
      fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }),
      ms => parseTime(formatTime(ms)) === ms,
    ),
    { seed: 51, numRuns: 2000 },
  )
})
