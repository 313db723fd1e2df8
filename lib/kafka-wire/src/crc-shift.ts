/** CRC-32C's polynomial, reflected (RFC 3720 appendix B.4). */
const POLYNOMIAL = 0x82f63b78
const BITS = 32

type Operator = Uint32Array

function apply(operator: Operator, vector: number): number {
  let sum = 0
  let rest = vector
  for (let i = 0; rest !== 0; i++, rest >>>= 1) if (rest & 1) sum ^= operator[i]!
  return sum
}

const square = (operator: Operator): Operator => operator.map(column => apply(operator, column))

/** What 2^n bytes of zero do to a checksum, for each n: linear maps over GF(2). */
const ZEROS: readonly Operator[] = (() => {
  let operator: Operator = new Uint32Array(BITS)
  operator[0] = POLYNOMIAL
  for (let i = 1; i < BITS; i++) operator[i] = 2 ** (i - 1)
  // One bit, two, four, and eight make a byte.
  for (let i = 0; i < 3; i++) operator = square(operator)
  const out = [operator]
  while (out.length < BITS) out.push(square(out.at(-1)!))
  return out
})()

/**
 * The CRC-32C of some bytes whose beginning was replaced by as many others, without looking at the rest: checksums are linear, so
 * the old and the new differ by what the two beginnings' checksums differ in, moved on by the length of the rest. A rest that
 * was damaged on its way stays damaged under the new checksum, and whoever checks it notices.
 * @param crc of the whole, before
 * @param before the CRC-32C of the old beginning
 * @param after the CRC-32C of the new one
 * @param rest bytes behind it
 */
export function replaceHead(crc: number, before: number, after: number, rest: number): number {
  let difference = before ^ after
  for (let n = 0, left = rest; left > 0; n++, left = Math.floor(left / 2))
    if (left % 2 === 1) difference = apply(ZEROS[n]!, difference)
  return (crc ^ difference) >>> 0
}
