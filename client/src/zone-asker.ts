import { randomInt } from 'node:crypto'
import { decodeResponse, encodeQuestion, type Question, type Response } from './dns-message.js'
import { signingKeys, type ZoneKey } from './dnskey.js'
import { ClientError } from './errors.js'
import { signalAfter } from './signal-after.js'

const none = (why: string, cause?: unknown): ClientError =>
  new ClientError('FNA_ERR_UNAVAILABLE', `the name server ${why}`, cause === undefined ? {} : { cause })

/**
 * Asks one name server about its own zones, one question after the other, over a stream that was opened by the guarded way out
 * (RFC 7766). No cache; what it says is worth as much as the way to it.
 */
export class ZoneAsker {
  readonly #stream: NodeJS.ReadWriteStream & { destroy?(): void }
  readonly #signal: AbortSignal
  #held: Buffer = Buffer.alloc(0)
  #wake: () => void = () => undefined
  #over: Error | null = null

  /** @param ms milliseconds for all questions */
  constructor(stream: NodeJS.ReadWriteStream, ms: number, signal: AbortSignal) {
    this.#stream = stream
    this.#signal = signalAfter(ms, signal)
    const end = (why: string) => (cause?: unknown) => {
      this.#over ??= none(why, cause)
      this.#wake()
    }
    stream.on('data', (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk])
      this.#wake()
    })
    stream.on('error', end('broke the connection off')).on('close', end('closed the connection'))
    this.#signal.addEventListener('abort', end('did not answer in time'), { once: true })
  }

  /** @throws FNA_ERR_UNAVAILABLE where it does not answer, or something else than the question */
  async ask(q: Question): Promise<Response> {
    const id = randomInt(65_536)
    const response = decodeResponse(await this.#exchange(encodeQuestion(id, q)), id, q)
    if (!response) throw none('answered another question')
    return response
  }

  /** The keys that sign the zone now: see {@link signingKeys}. */
  async keys(zone: string, now: number): Promise<{ signed: boolean; keys: ZoneKey[] }> {
    const id = randomInt(65_536)
    const bytes = await this.#exchange(encodeQuestion(id, { name: zone, type: 'DNSKEY' }))
    try {
      if (bytes.readUInt16BE(0) === id && (bytes[2]! & 0x80) !== 0 && (bytes[3]! & 15) === 0)
        return signingKeys(bytes, zone, now)
    } catch (cause) {
      throw none('sent keys that cannot be read', cause)
    }
    throw none('does not tell the keys of the zone')
  }

  close(): void {
    this.#stream.destroy?.()
  }

  async #exchange(message: Buffer): Promise<Buffer> {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(message.length)
    this.#stream.write(Buffer.concat([length, message]))
    for (;;) {
      if (this.#held.length >= 2 && this.#held.length >= 2 + this.#held.readUInt16BE(0)) {
        const answer = this.#held.subarray(2, 2 + this.#held.readUInt16BE(0))
        this.#held = this.#held.subarray(2 + answer.length)
        return answer
      }
      if (this.#over) throw this.#over
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}
