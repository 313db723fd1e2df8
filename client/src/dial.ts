import { connect, isIP, type OnReadOpts, type Socket } from 'node:net'
import { isOwner } from '@fnaa/protocol'
import { ClientError } from './errors.js'
import type { AddressGuard } from './guard.js'
import { type SecureOptions, secure } from './secure.js'
import { signalAfter } from './signal-after.js'
import type { Answer, Call, Dial, Resolve } from './types.js'

export interface DialOptions {
  readonly resolve: Resolve
  readonly guard: AddressGuard
  /** Milliseconds for all of it, from the first DNS question to the end of the handshake; 10,000 if absent. */
  readonly timeoutMs?: number
  /** What TLS offers by ALPN; `fnap/1` if absent. */
  readonly alpn?: SecureOptions['alpn']
}

/**
 * Makes the way out to addresses that strangers named: the name is resolved here and once (never by getaddrinfo, which
 * reads `127.1` and `0x7f.1` as addresses), every address passes the guard, and the connection goes to that address, so
 * that a second answer cannot send it elsewhere (security rows 14 and 15).
 */
export function makeDial(opt: DialOptions): Dial {
  return async (target, c) => {
    const call: Call = { ...c, signal: signalAfter(opt.timeoutMs ?? 10_000, c.signal) }
    checkPort(target.port)
    const addresses = await addressesOf(target.host, opt, call)
    const onread = target.onread as OnReadOpts | undefined
    const plain = target.tls ? undefined : onread
    const socket = await connectFirst(
      addresses,
      { port: target.port, onread: plain },
      call,
      (opt.timeoutMs ?? 10_000) / 2,
    )
    if (!target.tls) return socket
    const { servername, ca } = target.tls
    const tls: SecureOptions = { servername, alpn: opt.alpn ?? 'offered', timeoutMs: opt.timeoutMs ?? 10_000, onread }
    return (await secure(socket, ca === undefined ? tls : { ...tls, ca }, call)).socket
  }
}

function checkPort(port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new ClientError('FNA_ERR_INVALID', 'a port is 1 to 65535')
}

async function addressesOf(host: string, opt: DialOptions, c: Call): Promise<string[]> {
  const found = await lookUp(host, opt.resolve, c)
  const allowed = found.filter(address => opt.guard.allows(address))
  if (allowed.length > 0) return allowed
  if (found.length > 0)
    throw new ClientError('FNA_ERR_ADDRESS', 'the host is at an address that strangers may not name')
  throw new ClientError('FNA_ERR_UNAVAILABLE', 'the host has no address')
}

async function lookUp(name: string, resolve: Resolve, c: Call): Promise<string[]> {
  const host = name.toLowerCase().replace(/\.$/, '')
  if (isIP(host)) return [host]
  if (host === 'localhost') return ['127.0.0.1', '::1']
  if (!isHostName(host))
    throw new ClientError('FNA_ERR_ADDRESS', 'the host is neither a name nor an IP address in its usual form')
  const [a, aaaa] = await Promise.all([resolve(host, 'A', c), resolve(host, 'AAAA', c)])
  return interleave(addresses(aaaa), addresses(a))
}

/** The last label of a name has a letter that does not make it a number (WHATWG URL §3.5): `0x7f.1` is an address. */
function isHostName(host: string): boolean {
  const last = host.slice(host.lastIndexOf('.') + 1)
  return isOwner(host) && !/^(?:\d+|0x[0-9a-f]*)$/.test(last)
}

function addresses(answer: Answer): string[] {
  if (answer.status === 'bogus')
    throw new ClientError('FNA_ERR_UNAVAILABLE', 'DNSSEC validation failed', { status: 'bogus' })
  return answer.records.flatMap(r => (r.type === 'A' || r.type === 'AAAA' ? [r.address] : []))
}

/** One of each family in turn, so that a family without a route costs one try (RFC 8305 §4). */
function interleave(a: readonly string[], b: readonly string[]): string[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => [a[i], b[i]])
    .flat()
    .filter(x => x !== undefined)
    .slice(0, 8)
}

interface To {
  readonly port: number
  readonly onread: OnReadOpts | undefined
}
type NoLookup = (e: Error, address: string, family: number) => void

/** The addresses in order; one that swallows packets must not use up the time of the others. */
async function connectFirst(list: readonly string[], to: To, c: Call, patience: number): Promise<Socket> {
  let failure: unknown
  for (const [i, host] of list.entries()) {
    const last = i === list.length - 1
    const signal = last ? c.signal : signalAfter(patience / list.length, c.signal)
    try {
      return await connectTo(host, to, { ...c, signal })
    } catch (e) {
      failure = e
      if (c.signal.aborted) break
    }
  }
  throw failure
}

function connectTo(host: string, { port, onread }: To, c: Call): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown) => {
      c.signal.removeEventListener('abort', fail)
      socket.off('error', fail).on('error', () => {})
      socket.destroy()
      reject(
        new ClientError(
          'FNA_ERR_UNAVAILABLE',
          'nobody answers at the address',
          cause instanceof Error ? { cause } : {},
        ),
      )
    }
    // `host` is an address: with `lookup` replaced, even a mistake here could not resolve a name.
    const lookup = (_name: string, _opt: unknown, done: NoLookup) => done(new Error('no second look-up'), '', 4)
    const socket = connect({ host, port, lookup, ...(onread ? { onread } : {}) })
    socket.on('error', fail).once('connect', () => {
      c.signal.removeEventListener('abort', fail)
      socket.off('error', fail).setNoDelay(true)
      resolve(socket)
    })
    c.signal.addEventListener('abort', fail, { once: true })
    if (c.signal.aborted) fail()
  })
}
