import { randomBytes } from 'node:crypto'
import { crc32c } from '@fnaa/protocol'
import t from 'tap'
import { replaceHead } from './crc-shift.js'

t.test('the checksum of a batch whose header has changed', async t => {
  for (const length of [0, 1, 2, 7, 61, 1000, 65_536, 1_000_003]) {
    const [old, other, rest] = [randomBytes(40), randomBytes(40), randomBytes(length)]
    const crc = replaceHead(crc32c(Buffer.concat([old, rest])), crc32c(old), crc32c(other), length)
    t.equal(crc, crc32c(Buffer.concat([other, rest])), `${length} bytes behind it`)
  }
})

t.test('damage stays damage', async t => {
  const [old, other, rest] = [randomBytes(40), randomBytes(40), randomBytes(500)]
  const crc = crc32c(Buffer.concat([old, rest]))
  rest[250]! ^= 4
  t.not(replaceHead(crc, crc32c(old), crc32c(other), 500), crc32c(Buffer.concat([other, rest])))
})
