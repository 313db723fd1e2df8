import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { credentials } from '@grpc/grpc-js'
import t from 'tap'
import { ProcessorServer } from './server.js'
import { loadService, toMessage } from './wire.js'

// What foreign processors may be asked, by whoever speaks flow_processor.proto.
const directory = mkdtempSync(join(tmpdir(), 'fnaad-server-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))
/** Sinks that are open; a sink takes its time to close until `close` is called. */
const state = { open: 0, most: 0, close: () => {} }
Object.assign(globalThis, { state })
const module = (name: string, code: string) => {
  writeFileSync(join(directory, name), code)
  return pathToFileURL(join(directory, name)).href
}
const program = module('program.mjs', 'export default { route: () => () => "all" }')
const driver = module(
  'driver.mjs',
  `const { state } = globalThis
export default { async open(endpoint) { return {
  async source() { return {
    async *read(c) { if (!c.signal.aborted) await new Promise(r => c.signal.addEventListener('abort', r)) },
    async commit() {}, async lag() { return { epoch: 'e', shards: {} } },
    async position() { return { epoch: 'e', shards: {} } }, async close() {},
  } },
  async sink() {
    state.most = Math.max(state.most, ++state.open)
    return { async write() { return { cursor: '1', tier: 'raw' } }, async restore() { return null },
      async close() { if (endpoint.options?.slow) await new Promise(r => { state.close = r }); state.open-- } }
  },
  async close() {},
} } }`,
)
const port = (name: string, slow: boolean) => ({
  name,
  driver,
  foreign: false,
  endpoint: { type: 'x', servers: [], queue: name, options: { slow } },
})
const spec = (epoch: number, slow = false) =>
  toMessage({
    run: {
      id: 'p',
      epoch,
      desired: 'run',
      program,
      config: {},
      guarantee: 'at-least-once',
      network: { servers: [], trustAd: false, allow: [] },
      sources: [port('source', false)],
      sinks: [port('sink', slow)],
    },
    secrets: {},
  } as never)

t.test('one run of a processor, however often and quickly it is asked for', async t => {
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log } as never
  const server = new ProcessorServer(log)
  const address = `unix:${join(directory, 'socket')}`
  await server.listen(address)
  const client = new (loadService().Client)(address, credentials.createInsecure())
  t.teardown(async () => {
    client.close()
    await server.close()
  })
  const call = (method: string, m: object) =>
    new Promise<unknown>((resolve, reject) =>
      (client as never as Record<string, (m: object, done: (e: Error | null, r: unknown) => void) => void>)[method]!(
        m,
        (e, r) => (e ? reject(e) : resolve(r)),
      ),
    )
  const until = async (true_: () => boolean) => {
    while (!true_()) await new Promise(resolve => setImmediate(resolve))
  }
  await call('Create', spec(1, true))
  await until(() => state.open === 1)
  state.close = () => {}
  const begun = state.close
  const both = [call('Create', spec(2)), call('Create', spec(2))]
  await until(() => state.close !== begun)
  state.close()
  await Promise.all(both)
  await until(() => state.open === 1)
  t.equal(state.most, 1, 'never two at once')
  t.same(await call('Destroy', { id: 'p', epoch: 2 }), { removed: true })
  t.equal(state.open, 0, 'and none is left')
  await t.rejects(call('Create', spec(1)), /a higher epoch has been seen/)

  await call('Create', spec(3, true))
  await until(() => state.open === 1)
  const before = state.close
  const made = call('Create', spec(4))
  await until(() => state.close !== before)
  const ended = call('Destroy', { id: 'p', epoch: 4 })
  state.close()
  await Promise.allSettled([made, ended])
  t.equal(state.open, 0, 'what was ended while it began has ended')
})
