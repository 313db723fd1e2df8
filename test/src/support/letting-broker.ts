import { createHmac, randomBytes } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import embedded from '@fnaa/broker-embedded'
import { type BrokerService, CONTRACT, type Ctx, type Driver, definePlugin, type Wire } from '@fnaa/core/plugin'
import { batchOf } from '@fnaa/protocol'
import { certificates } from '../../../services/dist/certificates.js'
import { Messages } from './letting-wire.js'

interface Account {
  readonly password: string
  readonly queue: string
  readonly rights: readonly string[]
}
const KEY = 'key'

/**
 * A broker for tests that lets strangers in: the embedded log behind a TLS port of its own, with a login for each access that
 * it really checks, and connections that it really cuts.
 */
export const lettingBroker = definePlugin<'broker', object>({
  manifest: {
    name: '@fnaa/broker-letting',
    version: '0.1.0',
    kind: 'broker',
    contract: CONTRACT,
    supports: {
      type: 'letting',
      model: 'log',
      readers: 'independent',
      order: 'total',
      access: ['issued'],
      cut: 'open-connections',
      batch: 'kafka-v2',
      transactions: false,
      maxEventBytes: 1_000_000,
      reach: 'network',
    },
    options: { type: 'object', additionalProperties: false, properties: {} },
    driver: new URL('./letting-driver.js', import.meta.url).href,
  },
  setup: ctx => open(ctx),
})
export default lettingBroker

async function open(ctx: Ctx): Promise<BrokerService> {
  const plugin = embedded({})
  const log = (await plugin.setup(ctx)) as BrokerService
  const driver = ((await import(plugin.manifest.driver!)) as { default: Driver }).default
  const c = { signal: ctx.signal }
  const wire = (queue: string): Promise<Wire> =>
    driver.open(log.internal(queue).endpoint, null, { log: ctx.log, dial: ctx.dial, foreign: false }, c)
  const { ca, server } = certificates()
  const admin: Account = { password: randomBytes(12).toString('hex'), queue: '*', rights: ['read', 'write'] }
  const key = (await ctx.state.get(KEY, c))?.value ?? randomBytes(32)
  await ctx.state.put(KEY, key, {}, c)
  const sockets = new Map<Socket, string>()
  const find = async (user: string): Promise<Account | null> => {
    if (user === 'admin') return admin
    const entry = await ctx.state.get(`user/${user}`, c)
    return entry && (JSON.parse(Buffer.from(entry.value).toString()) as Account)
  }
  const listener = createServer({ cert: server, key: server }, socket => {
    sockets.set(socket, '')
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
    void serve(socket, find, wire, user => sockets.set(socket, user)).catch(e => socket.destroy(e as Error))
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const endpoint = (queue: string) => ({
    type: 'letting',
    servers: [`127.0.0.1:${(listener.address() as AddressInfo).port}`],
    queue,
    tls: { servername: 'localhost', ca },
  })
  const credential = (user: string, password: string) => ({ mechanism: 'PLAIN', values: { user, password } })
  return {
    queueFor: log.queueFor,
    describeQueue: (q, x) => log.describeQueue(q, x),
    createQueue: (q, s, x) => log.createQueue(q, s, x),
    updateQueue: (q, s, x) => log.updateQueue(q, s, x),
    deleteQueue: (q, x) => log.deleteQueue(q, x),
    listConsumers: (q, x) => log.listConsumers(q, x),
    health: x => log.health(x),
    internal: queue => ({ endpoint: endpoint(queue), credential: credential('admin', admin.password) }),
    async grant(a) {
      const password = createHmac('sha256', key).update(a.id).digest('hex')
      const account: Account = { password, queue: a.queue, rights: a.rights }
      await ctx.state.put(`user/${a.id}`, Buffer.from(JSON.stringify(account)), {}, c)
      return { endpoint: { ...endpoint(a.queue), reader: a.id }, credential: credential(a.id, password) }
    },
    async revoke(id) {
      const known = await ctx.state.get(`user/${id}`, c)
      await ctx.state.delete(`user/${id}`, {}, c)
      for (const [socket, user] of sockets) if (user === id) socket.destroy()
      return known ? 'revoked' : 'absent'
    },
    async close() {
      for (const socket of sockets.keys()) socket.destroy()
      listener.close()
      await log.close()
    },
  }
}

/** One connection: a login, then a source or a sink. */
async function serve(
  socket: TLSSocket,
  find: (user: string) => Promise<Account | null>,
  wire: (queue: string) => Promise<Wire>,
  named: (user: string) => void,
): Promise<void> {
  const messages = new Messages(socket)
  const stop = new AbortController()
  socket.on('close', () => stop.abort())
  const c = { signal: stop.signal }
  const hello = await messages.next()
  if (!hello) return
  const { user, password, queue, want, opt } = hello.head as {
    user: string
    password: string
    queue: string
    want: 'read' | 'write'
    opt: { reader: string; writer: string; epoch: number; from: never }
  }
  const account = await find(user)
  const fits = account && (account.queue === '*' || account.queue === queue) && account.rights.includes(want)
  const group = user === 'admin' || want === 'write' || opt.reader.startsWith(user)
  if (!account || account.password !== password || !fits || !group) {
    messages.send({ error: 'FNA_ERR_DENIED' })
    socket.end()
    return
  }
  named(user)
  const w = await wire(queue)
  try {
    if (want === 'write') {
      const sink = await w.sink({ writer: opt.writer, epoch: opt.epoch }, c)
      messages.send({ ok: true })
      for (let m = await messages.next(); m; m = await messages.next()) {
        const { n } = m.head as { n: number }
        const b = batchOf({ shard: '0', last: '0', bytes: m.body })
        sink.write(b, {}, c).then(
          r => messages.send({ n, cursor: r.cursor }),
          e => messages.send({ n, error: (e as { code?: string }).code ?? 'FNA_ERR_UNAVAILABLE' }),
        )
      }
      return
    }
    const source = await w.source({ reader: opt.reader, epoch: opt.epoch, from: opt.from }, c)
    messages.send({ ok: true })
    let reading = false
    const pump = async () => {
      for await (const piece of source.read(c)) {
        if ('reason' in piece) messages.send({ gap: piece })
        else await messages.flow({ shard: piece.shard, last: piece.last }, piece.raw!.bytes)
      }
    }
    for (let m = await messages.next(); m; m = await messages.next()) {
      const { n, ask, shard, last } = m.head as { n: number; ask: string; shard: string; last: string }
      if (ask === 'read' && !reading) {
        reading = true
        pump().catch(() => socket.destroy())
      }
      const answer =
        ask === 'lag'
          ? await source.lag(c)
          : ask === 'position'
            ? await source.position(c)
            : ask === 'commit'
              ? await source.commit(shard, last, c)
              : true
      messages.send({ n, answer: answer ?? true })
    }
  } finally {
    await w.close().catch(() => undefined)
  }
}
