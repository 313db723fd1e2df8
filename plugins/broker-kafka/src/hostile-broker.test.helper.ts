import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Writer } from '@fnaa/kafka-wire'

// A broker that speaks as much of Kafka's protocol as a source needs, and lies wherever it is told to.

export const TOPIC = 'time.flows.evil.test'
const API = { fetch: 1, offsets: 2, metadata: 3, versions: 18 } as const
export type Request = keyof typeof API
/** Versions before compact encodings. */
const SPOKEN = [
  [API.fetch, 11, 11],
  [API.offsets, 5, 5],
  [API.metadata, 7, 7],
  [API.versions, 0, 0],
] as const

export interface Asked {
  readonly correlation: number
  readonly socket: Socket
  /** From 1: how many requests of this kind have come. */
  readonly nth: number
  readonly port: number
}
/** What is said instead: the whole answer with its length; null where it has been said already, or never will be. */
export type Lies = Partial<Record<Request, (asked: Asked) => Buffer | null>>

const bytesOf = (w: Writer): Buffer => Buffer.concat(w.pieces())

/** An answer with its length and its correlation id. */
export function framed(correlation: number, body: Uint8Array): Buffer {
  const head = new Writer().int32(4 + body.length).int32(correlation)
  return Buffer.concat([bytesOf(head), body])
}

export function versions(): Buffer {
  const w = new Writer().int16(0)
  w.array(SPOKEN, ([key, low, high]) => void w.int16(key).int16(low).int16(high))
  return bytesOf(w)
}

export interface Told {
  readonly nodes?: readonly (readonly [id: number, host: string, port: number])[]
  readonly leader?: number
  readonly partitions?: number
}
export function metadata(port: number, told: Told = {}): Buffer {
  const { nodes = [[1, '127.0.0.1', port]], leader = 1, partitions = 1 } = told
  const w = new Writer().int32(0)
  w.array(nodes, ([id, host, p]) => w.int32(id).string(host).int32(p).string(null))
  w.string('evil').int32(1)
  w.array([TOPIC], name => {
    w.int16(0).string(name).boolean(false)
    w.array([...Array(partitions).keys()], p => {
      w.int16(0).int32(p).int32(leader).int32(0)
      w.array([1], n => void w.int32(n))
        .array([1], n => void w.int32(n))
        .array([], () => {})
    })
  })
  return bytesOf(w)
}

export const offsets = (offset: bigint, partition = 0): Buffer => {
  const w = new Writer().int32(0)
  w.array([TOPIC], name => {
    w.string(name).array([partition], p => void w.int32(p).int16(0).int64(-1n).int64(offset).int32(0))
  })
  return bytesOf(w)
}

export interface Part {
  readonly partition?: number
  readonly aborted?: readonly (readonly [producer: bigint, first: bigint])[]
  readonly behind?: Uint8Array
}
export function fetched(records: Uint8Array, part: Part = {}): Buffer {
  const w = new Writer().int32(0).int16(0).int32(0)
  w.array([TOPIC], name => {
    w.string(name).array([0], () => {
      w.int32(part.partition ?? 0)
        .int16(0)
        .int64(1000n)
        .int64(1000n)
        .int64(0n)
      w.array(part.aborted ?? [], ([producer, first]) => void w.int64(producer).int64(first))
      w.int32(-1).bytes(records)
    })
  })
  return Buffer.concat([bytesOf(w), part.behind ?? Buffer.alloc(0)])
}

/** Serves on a free port of loopback; honest where `lies` has nothing. */
export async function hostileBroker(lies: Lies): Promise<{ readonly port: number; close(): Promise<void> }> {
  const counts = new Map<Request, number>()
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    let got = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk])
      while (got.length >= 4 && got.length >= 4 + got.readInt32BE(0)) {
        const length = got.readInt32BE(0)
        answer(socket, got.subarray(4, 4 + length))
        got = got.subarray(4 + length)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  function answer(socket: Socket, request: Buffer): void {
    const name = (Object.keys(API) as Request[]).find(n => API[n] === request.readInt16BE(0))
    const correlation = request.readInt32BE(4)
    if (!name) return void socket.destroy()
    const nth = (counts.get(name) ?? 0) + 1
    counts.set(name, nth)
    const asked = { correlation, socket, nth, port }
    const said = lies[name] ? lies[name](asked) : framed(correlation, HONEST[name](port))
    if (said) socket.write(said)
  }
  return {
    port,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const HONEST: Record<Request, (port: number) => Buffer> = {
  versions: () => versions(),
  metadata: port => metadata(port),
  offsets: () => offsets(0n),
  fetch: () => fetched(Buffer.alloc(0)),
}
