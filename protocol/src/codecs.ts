import { type CodecImpl, notHere } from './codec.js'
import { lz4 } from './codec-lz4.js'
import { snappy } from './codec-snappy.js'
import { gzip, none, zstd } from './codec-zlib.js'
import { fnapError, isFnapError } from './errors.js'
import type { Codec } from './events.js'

export { asBuffer, type CodecImpl } from './codec.js'

/**
 * The codecs that this process has: none, gzip, and zstd where this Node has it; snappy and lz4 by packages that are loaded when
 * they are first used. Others may be added.
 */
export const codecs: Map<Codec, CodecImpl> = new Map([
  ['none', none],
  ['gzip', gzip],
  ['snappy', snappy],
  ['lz4', lz4],
  ...(zstd ? [['zstd', zstd] as const] : []),
])

const WHY: Partial<Record<Codec, string>> = { zstd: 'it needs Node.js 22.15 or later' }

/**
 * A codec that is there.
 * @throws FnapError NOTSUPPORTED, for which `isCodecUnavailable` is true
 */
export function codecOf(codec: Codec): CodecImpl {
  const found = codecs.get(codec)
  if (found) return found
  const why = WHY[codec]
  if (why) throw notHere(codec, why)
  throw fnapError('NOTSUPPORTED', `the codec ${codec} is not available here`, { codecUnavailable: codec })
}

/** Did this fail because nobody registered the codec? Then the batch may still be passed on as it is. */
export const isCodecUnavailable = (error: unknown): boolean =>
  isFnapError(error) && (error.detail as { codecUnavailable?: Codec } | undefined)?.codecUnavailable !== undefined
