/** A resource record as it stands in a message, its data not looked at yet. */
export interface RawRecord {
  /** Null: a label holds something else than a-z 0-9 `_` and hyphens, so it is no name that could be meant here. */
  readonly name: string | null
  readonly type: number
  readonly class: number
  /** Seconds. */
  readonly ttl: number
  /** Where the data begins, and behind its end. */
  readonly start: number
  readonly end: number
}
export interface RawMessage {
  readonly id: number
  readonly flags: number
  readonly questions: readonly Pick<RawRecord, 'name' | 'type' | 'class'>[]
  readonly answers: readonly RawRecord[]
  readonly authorities: readonly RawRecord[]
  readonly additionals: readonly RawRecord[]
}

const LABEL = /^[a-z0-9_-]+$/
const MOST_RECORDS = 512
/** A name has at most 127 labels (RFC 1035 §2.3.4): more pointers than that lead nowhere. */
const MOST_POINTERS = 127
/** Labels and pointers that are followed in one message. The largest honest one, full of compressed names, has half of that. */
const MOST_STEPS = 32_768

/** The message asks for more work than it is worth: nothing of it counts. */
export class DnsWorkError extends RangeError {}

/**
 * Reads the bytes of a DNS message (RFC 1035 §4). dns-packet, which writes ours, joins the labels of a name to one text:
 * there a label that holds a dot looks like two. Whom to trust must not hang on that.
 */
export class DnsReader {
  readonly #bytes: Buffer
  #steps = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** @throws RangeError where the message is cut off, or a name is malformed */
  message(): RawMessage {
    const counts = [4, 6, 8, 10].map(at => this.#bytes.readUInt16BE(at))
    if (counts.reduce((sum, n) => sum + n) > MOST_RECORDS) throw new RangeError('too many records')
    const [questions = 0, ...records] = counts
    let at = 12
    const asked = Array.from({ length: questions }, () => {
      const { name, next } = this.name(at)
      at = next + 4
      return { name, type: this.#bytes.readUInt16BE(next), class: this.#bytes.readUInt16BE(next + 2) }
    })
    const [answers = [], authorities = [], additionals = []] = records.map(count =>
      Array.from({ length: count }, () => {
        const record = this.#record(at)
        at = record.end
        return record
      }),
    )
    const id = this.#bytes.readUInt16BE(0)
    return { id, flags: this.#bytes.readUInt16BE(2), questions: asked, answers, authorities, additionals }
  }

  /**
   * A name in lower case without final dot (the root is ''), and where what follows it begins.
   * @throws RangeError; DnsWorkError where all names together take too many steps
   */
  name(from: number): { readonly name: string | null; readonly next: number } {
    const labels: string[] = []
    let at = from
    let next = -1
    let length = 0
    // Pointers lead to what came before, so each must be lower than the last: no loops.
    let lowest = from
    let pointers = 0
    for (let size = this.#bytes.readUInt8(at); size !== 0; size = this.#bytes.readUInt8(at)) {
      if (++this.#steps > MOST_STEPS) throw new DnsWorkError('the names of a message are too long in all')
      if (size >= 0xc0) {
        if (++pointers > MOST_POINTERS) throw new DnsWorkError('a name leads through too many pointers')
        const target = this.#bytes.readUInt16BE(at) & 0x3fff
        if (next < 0) next = at + 2
        if (target >= lowest) throw new RangeError('a pointer leads forward')
        at = lowest = target
        continue
      }
      length += size + 1
      if (size > 63 || length > 254 || at + 1 + size > this.#bytes.length) throw new RangeError('a label is too long')
      labels.push(this.#bytes.toString('latin1', at + 1, at + 1 + size).toLowerCase())
      at += 1 + size
    }
    if (next < 0) next = at + 1
    return { name: labels.every(label => LABEL.test(label)) ? labels.join('.') : null, next }
  }

  #record(from: number): RawRecord {
    const { name, next } = this.name(from)
    const start = next + 10
    const end = start + this.#bytes.readUInt16BE(next + 8)
    if (end > this.#bytes.length) throw new RangeError('a record is cut off')
    const [type, klass] = [this.#bytes.readUInt16BE(next), this.#bytes.readUInt16BE(next + 2)]
    return { name, type, class: klass, ttl: this.#bytes.readUInt32BE(next + 4), start, end }
  }
}
