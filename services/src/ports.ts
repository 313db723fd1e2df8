import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer, type Server } from 'node:net'

/**
 * The kernel gives ports from 32768 on to whoever connects: what is to be free a second later lies below them.
 * They are dealt out in blocks, one process a block at a time: to try a port is to hold it for a moment, and in that
 * moment the process that it was promised to would be refused.
 */
const PORTS = { first: 20_000, block: 50, blocks: 240 }

let rest: number[] = []
let dealing: Promise<number> = Promise.resolve(0)

/** A port of loopback that nobody has now, neither of TCP nor of UDP, and that no other caller is given. */
export function freePort(): Promise<number> {
  dealing = dealing.then(next)
  return dealing
}

/** So many different ones. */
export const freePorts = (count: number): Promise<number[]> => Promise.all(Array.from({ length: count }, freePort))

async function next(): Promise<number> {
  for (;;) {
    if (rest.length === 0) rest = await block()
    const port = rest.shift()!
    if ((await tcp(port)) && (await udp(port))) return port
  }
}

/** A block is its holder's for as long as he listens on its first port: the kernel takes it back when he dies. */
async function block(): Promise<number[]> {
  for (let tries = 0; tries < 50 * PORTS.blocks; tries++) {
    const first = PORTS.first + PORTS.block * randomInt(PORTS.blocks)
    const guard = createServer(socket => socket.destroy())
    if (!(await listens(guard, first))) continue
    guard.unref()
    return Array.from({ length: PORTS.block - 1 }, (_, i) => first + 1 + i)
  }
  throw new Error(`no free block of ports from ${PORTS.first} on`)
}

async function tcp(port: number): Promise<boolean> {
  const server = createServer()
  if (!(await listens(server, port))) return false
  return new Promise(resolve => server.close(() => resolve(true)))
}

function listens(server: Server, port: number): Promise<boolean> {
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true))
  })
}

function udp(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  return new Promise(resolve => {
    socket.once('error', () => socket.close(() => resolve(false)))
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => socket.close(() => resolve(true)))
  })
}
