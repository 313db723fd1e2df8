import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { connectTo } from './connect.js'
import type { Context } from './context.js'
import type { Located } from './locate-agent.js'

const timers = () => process.getActiveResourcesInfo().filter(what => what === 'Timeout').length

t.test('once it is connected nothing of the wait for a greeting is left', async t => {
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    socket.write('220 fnaa.unix.test FNAA\r\n')
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const debug = { say: () => undefined, trace: () => undefined }
  const cx = { debug, interrupt: new AbortController().signal, settings: {} } as unknown as Context
  const located = { name: 'a', fqdn: 'fnaa.unix.test', addresses: ['127.0.0.1'], port, implicit: false }
  const before = timers()
  const connection = await connectTo(cx, located as unknown as Located)
  t.equal(connection.greeting, 'fnaa.unix.test')
  t.equal(timers(), before)
  connection.destroy()
})
