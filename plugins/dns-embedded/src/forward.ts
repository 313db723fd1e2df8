import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIP } from 'node:net'
import { isLoopback } from '@fnaa/client'
import { FnaError } from '@fnaa/core/plugin'
import { isWithin } from '@fnaa/protocol'
import { type HostPort, parseHostPort } from './options.js'

const PATIENCE_MS = 3000

/** Where questions outside our zones go, for the zones that the operator named; the longest one wins. */
export class Forwards {
  readonly #targets: readonly (readonly [zone: string, target: HostPort])[]

  /** @throws FNA_ERR_CONFIG for a target that is not on loopback: this server must not become an open resolver */
  constructor(forward: Readonly<Record<string, string>>) {
    this.#targets = Object.entries(forward)
      .map(([zone, at]) => [zone === '.' ? '' : zone.toLowerCase(), parseHostPort(at, `forward ${zone}`)] as const)
      .sort((a, b) => b[0].length - a[0].length)
    for (const [, target] of this.#targets) {
      if (!isLoopback(target.host)) throw new FnaError('FNA_ERR_CONFIG', 'forward leads to servers on loopback only')
    }
  }

  /** The server for a name, for clients on this host only. */
  targetFor(name: string, client: string): HostPort | null {
    if (!isLoopback(client)) return null
    return this.#targets.find(([zone]) => zone === '' || isWithin(name, zone))?.[1] ?? null
  }
}

/**
 * Asks another server the same question, byte for byte but for the id, over the transport it came by.
 * @returns its answer under the question's id, or null where none came within 3 seconds
 */
export async function relay(question: Buffer, target: HostPort, tcp: boolean): Promise<Buffer | null> {
  const asked = Buffer.from(question)
  asked.writeUInt16BE(randomInt(65_536), 0)
  const answer = await (tcp ? askTcp(asked, target) : askUdp(asked, target))
  if (!answer) return null
  const out = Buffer.from(answer)
  question.copy(out, 0, 0, 2)
  return out
}

function askUdp(question: Buffer, target: HostPort): Promise<Buffer | null> {
  return new Promise(resolve => {
    const socket = createSocket(isIP(target.host) === 6 ? 'udp6' : 'udp4')
    const end = (answer: Buffer | null) => {
      clearTimeout(timer)
      socket
        .removeAllListeners()
        .on('error', () => {})
        .close()
      resolve(answer)
    }
    const timer = setTimeout(() => end(null), PATIENCE_MS)
    socket.on('error', () => end(null))
    socket.on('message', m => {
      if (m.length >= 12 && m.readUInt16BE(0) === question.readUInt16BE(0) && m.readUInt8(2) & 0x80) end(m)
    })
    socket.connect(target.port, target.host, () => socket.send(question))
  })
}

function askTcp(question: Buffer, target: HostPort): Promise<Buffer | null> {
  return new Promise(resolve => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(question.length)
    let held = Buffer.alloc(0)
    const socket = connect(target.port, target.host, () => socket.write(Buffer.concat([length, question])))
    const end = (answer: Buffer | null) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(PATIENCE_MS, () => end(null))
    socket.on('error', () => end(null)).on('close', () => end(null))
    socket.on('data', chunk => {
      held = Buffer.concat([held, chunk])
      if (held.length >= 14 && held.length >= 2 + held.readUInt16BE(0)) end(held.subarray(2, 2 + held.readUInt16BE(0)))
    })
  })
}
