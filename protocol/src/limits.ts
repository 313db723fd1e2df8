/**
 * Every size that FNAP/1 bounds, in bytes unless the name says otherwise. They are checked on the length, before or
 * while reading, never after. `limits=` of CAPABILITIES announces line, authLine, frame, event, body and text.
 */
export const LIMITS = Object.freeze({
  /** A command line with its CRLF. */
  line: 4096,
  /** An AUTHENTICATE line, or a line of the exchange after it, with its CRLF. */
  authLine: 12_288,
  /** A frame after `220 STREAM`: type and payload, without the four bytes of the length. */
  frame: 2_097_152,
  /** One event: key, value and headers, or one line of a WRITE. */
  event: 1_048_576,
  /** All lines of one WRITE together. */
  body: 8_388_608,
  /** A text argument (REASON, FILTER, RULE, TITLE …), as UTF-8. */
  text: 1024,
  /** A line of JSON in a reply between agents, or in a frame. */
  jsonLine: 65_536,
  /** Lines of one list in a reply (a count). */
  listLines: 10_000,
  /** Nesting of JSON that comes from outside (levels). */
  jsonDepth: 32,
  /** A name given to CREATE: `_queue._flow._tcp.` and `<id>.` must still fit before it. */
  nameCreate: 208,
  /** Any name (RFC 1035 §2.3.4, in presentation form without the final dot). */
  name: 253,
  /** A label of a name (RFC 1035 §2.3.4). */
  label: 63,
  /** Labels of the longest suffix that the walk for `_fnap` asks (a count). */
  walkLabels: 8,
  /** A cursor or a shard's name in a frame. */
  cursor: 64,
  /** Digits of a number in a command (a count): below 2^53, compared as a number. */
  digits: 15,
  /** What a compressed batch may grow to. */
  expanded: 16_777_216,
  /** Shards of one flow (a count): a position of all of them must fit a frame's JSON. */
  shards: 1000,
  /** Events of one batch (a count): each costs time and memory of its own, however small it is. */
  batchEvents: 65_536,
  /** Headers of one event, and of all events of one batch (counts): two bytes on the wire become an object of a hundred. */
  headers: 1000,
  batchHeaders: 131_072,
  /** Words of one command (a count). */
  words: 512,
  /** Seconds that `429` may ask a client to wait. */
  retryAfter: 900,
})

/** Bytes that a line of a WRITE counts for in `body` beside its own: an event costs memory, whatever its line holds. */
export const LINE_COST = 64

export type WireLimits = { readonly [K in keyof typeof LIMITS]: number }
