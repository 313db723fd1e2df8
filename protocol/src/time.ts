import { fnapError } from './errors.js'

const RFC3339 =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/i

/**
 * Milliseconds since 1970 of a time with its zone (RFC 3339 §5.6). What is finer than a millisecond is cut off; a leap
 * second is the second after it.
 * @throws FnapError BADVALUE
 */
export function parseTime(text: string, what = 'a time'): number {
  const match = text.length <= 40 ? RFC3339.exec(text) : null
  const ms = match ? fromParts(match) : null
  if (ms === null) throw fnapError('BADVALUE', `${what} is a time with its zone, as RFC 3339 writes it`)
  return ms
}

function fromParts(match: RegExpExecArray): number | null {
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const offsetHours = Number(match[9] ?? 0)
  const offsetMinutes = Number(match[10] ?? 0)
  if (hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) return null
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  // A day that the month does not have would become one of the next month.
  if (month < 1 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || day < 1) return null
  const fraction = Math.floor(Number(`0${match[7] ?? ''}`) * 1000)
  const local = date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + fraction
  return local - (match[8] === '-' ? -1 : 1) * (offsetHours * 60 + offsetMinutes) * 60_000
}

/**
 * The time in UTC, with milliseconds only where there are some.
 * @param ms milliseconds since 1970, of the years 0 to 9999
 * @throws RangeError for any other
 */
export function formatTime(ms: number): string {
  if (!(ms >= -62_167_219_200_000 && ms <= 253_402_300_799_999)) throw new RangeError('a time of the years 0 to 9999')
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
