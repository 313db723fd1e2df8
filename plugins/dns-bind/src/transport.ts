import { createSocket } from 'node:dgram'
import { connect, isIP } from 'node:net'
import { type Call, FnaError } from '@fnaa/core/plugin'

export interface Server {
  /** An IP address. */
  readonly host: string
  readonly port: number
}
/** What a message is taken for: an answer to wait no longer, or something to be passed over (a forger's, a late one). */
export type Match<T> = (message: Buffer) => T | null

/** Questions under way on one connection: BIND answers them in any order (RFC 7766 §6.2.1.1). */
const PIPELINED = 100
const LARGEST_UDP = 512

/**
 * Sends messages over one TCP connection and waits for an answer to each.
 * @param ms milliseconds for all of them
 * @throws FNA_ERR_UNAVAILABLE where the server is not there, closes before all are answered, or is too slow
 */
export function overTcp<T>(
  server: Server,
  requests: readonly { readonly message: Buffer; readonly match: Match<T> }[],
  ms: number,
  c: Call,
): Promise<T[]> {
  if (requests.length === 0) return Promise.resolve([])
  return new Promise((resolve, reject) => {
    const answers = new Map<number, T>()
    const open = new Map<number, Match<T>>()
    let next = 0
    let held: Buffer = Buffer.alloc(0)
    const socket = connect(server.port, server.host)
    const { end, watch } = ending(server, ms, c, () => socket.destroy())
    watch(reject)
    const send = () => {
      for (; next < requests.length && open.size < PIPELINED; next++) {
        const { message, match } = requests[next]!
        open.set(next, match)
        const length = Buffer.alloc(2)
        length.writeUInt16BE(message.length)
        socket.write(Buffer.concat([length, message]))
      }
    }
    socket.setNoDelay(true)
    socket.on('connect', send)
    socket.on('error', e =>
      end(
        unavailable(
          server,
          (e as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'nobody listens there' : e.message,
          e,
        ),
      ),
    )
    socket.on('close', () => end(unavailable(server, 'it closed the connection before it had answered')))
    socket.on('data', chunk => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const message = held.subarray(2, 2 + held.readUInt16BE(0))
        held = held.subarray(2 + message.length)
        for (const [i, match] of open) {
          const answer = match(message)
          if (answer === null) continue
          open.delete(i)
          answers.set(i, answer)
          break
        }
      }
      if (answers.size < requests.length) return send()
      end(null)
      resolve(requests.map((_, i) => answers.get(i) as T))
    })
  })
}

/**
 * Sends a message in one datagram. What does not match is passed over: anybody may send to the port.
 * @throws FNA_ERR_UNAVAILABLE as above; FNA_ERR_TOO_LARGE for a message over 512 bytes, which not every path carries
 */
export function overUdp<T>(server: Server, message: Buffer, match: Match<T>, ms: number, c: Call): Promise<T> {
  if (message.length > LARGEST_UDP) throw new FnaError('FNA_ERR_TOO_LARGE', 'an update over UDP has at most 512 bytes')
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(server.host) === 6 ? 'udp6' : 'udp4')
    const { end, watch } = ending(server, ms, c, () => socket.close())
    watch(reject)
    socket.on('error', e => end(unavailable(server, 'nobody listens there', e)))
    socket.on('message', m => {
      const answer = match(m)
      if (answer === null) return
      end(null)
      resolve(answer)
    })
    socket.connect(server.port, server.host, () =>
      socket.send(message, e => e && end(unavailable(server, e.message, e))),
    )
  })
}

export const unavailable = (server: Server, why: string, cause?: unknown): FnaError =>
  new FnaError('FNA_ERR_UNAVAILABLE', `the name server ${server.host}:${server.port}: ${why}`, { cause })

/** Ends once, by whatever comes first: success, an error, the deadline, the caller. */
function ending(server: Server, ms: number, c: Call, close: () => void) {
  let over = false
  let fail: (e: Error) => void = () => undefined
  const end = (e: Error | null) => {
    if (over) return
    over = true
    clearTimeout(timer)
    c.signal.removeEventListener('abort', abort)
    close()
    if (e) fail(e)
  }
  const abort = () => end(unavailable(server, 'the call was given up'))
  const timer = setTimeout(() => end(unavailable(server, `no answer in ${ms} ms`)), ms)
  const watch = (reject: (e: Error) => void) => {
    fail = reject
    c.signal.addEventListener('abort', abort, { once: true })
    if (c.signal.aborted) abort()
  }
  return { end, watch }
}
