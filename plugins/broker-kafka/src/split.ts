import { type Call, FnaError } from '@fnaa/core/plugin'
import { kafkaCode } from '@fnaa/kafka-wire'
import { decodeBatch, encodeBatch, encodeBatches, isFnapError, LIMITS, readBatchHeader } from '@fnaa/protocol'
import { settingsOf } from './settings.js'
import type { Topic } from './topic.js'
import { translated } from './translated.js'

/** A broker's own limit of a batch, where the topic's may not be asked for (message.max.bytes). */
const DEFAULT_MOST = 1_048_588
const EXPANDED = { bytes: LIMITS.expanded }

/** Has the broker refused a batch for its length? */
export function isTooLong(e: unknown): boolean {
  const code = kafkaCode(e)
  return code === 'MESSAGE_TOO_LARGE' || code === 'RECORD_LIST_TOO_LARGE'
}

/**
 * Batches that their topic has refused for their length, those that are too long of them in smaller ones, in order.
 * @throws FNA_ERR_TOO_LARGE where one event alone is over the limit, FNA_ERR_UNSUPPORTED for a codec that is not here
 */
export async function inPieces(at: Topic, batches: readonly Uint8Array[], c: Call): Promise<Uint8Array[][]> {
  const told = await limitOf(at, c)
  const longest = Math.max(...batches.map(b => b.length))
  // Where the limit may not be asked for, or is not what is meant, half of what was refused is tried.
  const most = told < longest ? told : longest >> 1
  return batches.map(bytes => (bytes.length > most ? cut(at.topic, bytes, most, told) : [bytes]))
}

function cut(topic: string, bytes: Uint8Array, most: number, told: number): Uint8Array[] {
  const { codec, count } = readBatchHeader(bytes)
  const tooLong = () =>
    new FnaError(
      'FNA_ERR_TOO_LARGE',
      `an event is over the ${told} bytes that topic ${topic} takes (max.message.bytes)`,
    )
  if (count === 1) throw tooLong()
  try {
    const pieces = [...encodeBatches(decodeBatch(bytes, EXPANDED), most)]
    const packed = codec === 'none' ? pieces : pieces.map(p => encodeBatch(decodeBatch(p, EXPANDED), { codec }))
    if (packed.some(p => p.length > told)) throw tooLong()
    return packed
  } catch (e) {
    if (isFnapError(e) && e.symbol === 'TOOLONG') throw tooLong()
    throw translated(e)
  }
}

async function limitOf(at: Topic, c: Call): Promise<number> {
  const value = Number((await settingsOf(at, ['max.message.bytes'], c))?.get('max.message.bytes'))
  return Number.isSafeInteger(value) && value > 0 ? value : DEFAULT_MOST
}
