import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIP } from 'node:net'
import { decodeResponse, encodeQuestion, type Question, type Response } from './dns-message.js'
import { ClientError } from './errors.js'

export interface DnsServer {
  /** An IP address: a name would have to be resolved first. */
  readonly host: string
  readonly port: number
  /** Zones asked here and nowhere else; absent, the server is asked for everything. */
  readonly zones?: readonly string[]
  /**
   * It serves its zones itself and by authority, so that what was made a moment ago is found. What it has delegated is asked
   * of the servers without zones, and so is everything while it does not answer.
   */
  readonly authority?: true
}

const none = (why: string, cause?: unknown): ClientError =>
  new ClientError('FNA_ERR_UNAVAILABLE', `a DNS server ${why}`, cause === undefined ? {} : { cause })

/**
 * One question to one server: UDP from a fresh port with a fresh id, and TCP where the answer was cut (RFC 7766 §5).
 * The socket is connected, so the kernel drops datagrams from anywhere else; what does not match is not looked at.
 * @throws FNA_ERR_UNAVAILABLE when `ms` milliseconds passed, the server is not there, or `signal` aborted
 */
export async function exchange(server: DnsServer, q: Question, ms: number, signal: AbortSignal): Promise<Response> {
  const end = performance.now() + ms
  const first = await overUdp(server, q, ms, signal)
  if (!first.truncated) return first
  return overTcp(server, q, Math.max(end - performance.now(), 1), signal)
}

/** Runs `start` with a deadline; `settle` may be called any number of times, the first one counts. */
function withDeadline<T>(
  ms: number,
  signal: AbortSignal,
  start: (settle: (result: T | Error) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let stop: () => void = () => {}
    let over = false
    const settle = (result: T | Error) => {
      if (over) return
      over = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      stop()
      if (result instanceof Error) reject(result)
      else resolve(result)
    }
    const timer = setTimeout(() => settle(none('did not answer in time')), ms)
    const onAbort = () => settle(none('was not waited for: the call was aborted'))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) return onAbort()
    stop = start(settle)
    if (over) stop()
  })
}

function overUdp(server: DnsServer, q: Question, ms: number, signal: AbortSignal): Promise<Response> {
  const id = randomInt(65_536)
  const query = encodeQuestion(id, q)
  return withDeadline(ms, signal, settle => {
    const socket = createSocket(isIP(server.host) === 6 ? 'udp6' : 'udp4')
    let closed = false
    socket.on('error', cause => settle(none('is not there', cause)))
    socket.on('message', bytes => {
      const response = decodeResponse(bytes, id, q)
      if (response) settle(response)
    })
    socket.connect(server.port, server.host, () => {
      if (!closed) socket.send(query, cause => cause && settle(none('is not there', cause)))
    })
    return () => {
      if (!closed) socket.close()
      closed = true
    }
  })
}

function overTcp(server: DnsServer, q: Question, ms: number, signal: AbortSignal): Promise<Response> {
  const id = randomInt(65_536)
  const query = encodeQuestion(id, q)
  return withDeadline(ms, signal, settle => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    let held = Buffer.alloc(0)
    const socket = connect(server.port, server.host, () => socket.write(Buffer.concat([length, query])))
    socket.on('error', cause => settle(none('is not there', cause)))
    socket.on('close', () => settle(none('closed the connection')))
    socket.on('data', chunk => {
      held = Buffer.concat([held, chunk])
      if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) return
      const response = decodeResponse(held.subarray(2, 2 + held.readUInt16BE(0)), id, q)
      settle(response ?? none('answered another question'))
    })
    return () => socket.destroy()
  })
}
