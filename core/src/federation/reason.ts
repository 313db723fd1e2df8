import { decodeValue, encodeValue, LIMITS } from '@fnaa/protocol'

const MARK = ' reason='

/**
 * The owner's words behind a sentence of ours, percent-encoded as in a data line: they can then break no line, and never hold
 * the `220` that no error may have.
 */
export function withReason(sentence: string, reason: string | undefined): string {
  if (reason === undefined || reason === '') return sentence
  return `${sentence}${MARK}${encodeValue(reason).replaceAll('220', '22%30')}`
}

/** The owner's words in what another agent said; undefined where there are none, or not in that form. */
export function reasonIn(sentence: string): string | undefined {
  const at = sentence.indexOf(MARK)
  if (at < 0) return undefined
  try {
    const reason = decodeValue(sentence.slice(at + MARK.length).split(' ', 1)[0]!)
    return Buffer.byteLength(reason) <= LIMITS.text && reason !== '' ? reason : undefined
  } catch {
    return undefined
  }
}
