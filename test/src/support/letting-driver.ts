import {
  type Call,
  type Credential,
  type Driver,
  type DriverHost,
  type Endpoint,
  FnaError,
  type Source,
} from '@fnaa/core/plugin'
import { type Batch, batchOf, type Gap } from '@fnaa/protocol'
import { Messages } from './letting-wire.js'

/** The data face of the broker of the tests: a connection for each source and each sink. */
const driver: Driver = {
  open: async (endpoint, credential, host) => ({
    source: (opt, c) => openSource(endpoint, credential, host, opt, c),
    sink: async (opt, c) => {
      const { messages, close } = await login(endpoint, credential, host, 'write', opt, c)
      const waiting = new Map<number, { resolve: (v: { cursor: string }) => void; reject: (e: unknown) => void }>()
      const lost = () => new FnaError('FNA_ERR_UNAVAILABLE', 'the connection to the broker of the tests broke off')
      let over = false
      void (async () => {
        for (let m = await messages.next(); m; m = await messages.next()) {
          const { n, cursor, error } = m.head as { n: number; cursor: string; error?: string }
          const w = waiting.get(n)
          waiting.delete(n)
          if (error) w?.reject(new FnaError(error as 'FNA_ERR_DENIED', 'the broker of the tests refuses it'))
          else w?.resolve({ cursor })
        }
        over = true
        for (const w of waiting.values()) w.reject(lost())
      })()
      let count = 0
      return {
        write: b =>
          new Promise((resolve, reject) => {
            if (over) return reject(lost())
            const n = ++count
            waiting.set(n, { resolve, reject })
            messages.send({ n }, b.raw!.bytes)
          }),
        restore: async () => null,
        close: async () => close(),
      }
    },
    close: async () => undefined,
  }),
}
export default driver

async function login(
  e: Endpoint,
  credential: Credential | null,
  host: DriverHost,
  want: 'read' | 'write',
  opt: object,
  c: Call,
): Promise<{ messages: Messages; close: () => void }> {
  const [name = '', port = ''] = e.servers[0]!.split(':')
  const tls = { servername: e.tls?.servername ?? name, ...(e.tls?.ca ? { ca: e.tls.ca } : {}) }
  const stream = await host.dial({ host: name, port: Number(port), tls }, c)
  const messages = new Messages(stream)
  const close = () => void (stream as unknown as { destroy(): void }).destroy()
  c.signal.addEventListener('abort', close, { once: true })
  messages.send({ ...credential?.values, queue: e.queue, want, opt })
  const reply = (await messages.next())?.head as { error?: 'FNA_ERR_DENIED' } | undefined
  if (reply && !reply.error) return { messages, close }
  close()
  throw new FnaError(reply?.error ?? 'FNA_ERR_UNAVAILABLE', 'the broker of the tests does not let it in')
}

async function openSource(
  e: Endpoint,
  credential: Credential | null,
  host: DriverHost,
  given: { reader: string; epoch: number; from: unknown },
  c: Call,
): Promise<Source> {
  const reader = e.reader === undefined ? given.reader : `${e.reader}.${given.reader}`
  const { messages, close } = await login(e, credential, host, 'read', { ...given, reader }, c)
  const pieces: (Batch | Gap)[] = []
  const waiting = new Map<number, (answer: never) => void>()
  let wake: () => void = () => undefined
  let over = false
  void (async () => {
    for (let m = await messages.next(); m; m = await messages.next()) {
      const head = m.head as { n?: number; answer?: unknown; gap?: Gap; shard: string; last: string }
      if (head.n !== undefined) waiting.get(head.n)?.(head.answer as never)
      else pieces.push(head.gap ?? batchOf({ shard: head.shard, last: head.last, bytes: m.body }))
      wake()
    }
    over = true
    wake()
  })()
  let count = 0
  const ask = <T>(word: string, more: object = {}): Promise<T> =>
    new Promise(resolve => {
      waiting.set(++count, resolve as never)
      messages.send({ n: count, ask: word, ...more })
    })
  return {
    async *read(call) {
      void ask('read')
      call.signal.addEventListener('abort', () => wake(), { once: true })
      while (!call.signal.aborted) {
        const piece = pieces.shift()
        if (piece) yield piece
        else if (over) throw new FnaError('FNA_ERR_UNAVAILABLE', 'the connection to the broker of the tests broke off')
        else await new Promise<void>(resolve => (wake = resolve))
      }
    },
    commit: async (shard, last) => void (await ask('commit', { shard, last })),
    lag: () => ask('lag'),
    position: () => ask('position'),
    close: async () => close(),
  }
}
