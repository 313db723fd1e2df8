import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Folders } from './folders.js'

/** Not `t.testdir`, which is deep already. */
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fnaad-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

t.test('a host has a folder below the agent’s, which goes with it', async t => {
  const directory = temporaryDirectory()
  const folders = new Folders(directory)
  const a = await folders.make()
  const b = await folders.make()
  t.ok(a.socket.startsWith(join(directory, 'run')), a.socket)
  t.not(a.socket, b.socket)
  t.equal(statSync(join(a.socket, '..')).mode & 0o777, 0o700)
  await a.remove()
  t.equal(readdirSync(join(directory, 'run')).length, 1)
  await b.remove()
  t.strictSame(readdirSync(join(directory, 'run')), [])
})

t.test('a deep directory: the socket lies in the temporary folder, and is found from the deep one', async t => {
  const directory = join(temporaryDirectory(), 'd'.repeat(90))
  const { socket } = await new Folders(directory).make()
  t.ok(Buffer.byteLength(socket) <= 100, socket)
  const place = join(socket, '..')
  t.equal(statSync(place).mode & 0o777, 0o700)
  writeFileSync(socket, '')
  const [entry] = readdirSync(join(directory, 'run'))
  t.equal(readlinkSync(join(directory, 'run', entry!)), place)
  // The agent was killed here; the next one begins.
  await new Folders(directory).clean()
  t.notOk(existsSync(place))
  t.strictSame(readdirSync(join(directory, 'run')), [])
})

t.test('cleaning follows no link of somebody else’s', async t => {
  const directory = temporaryDirectory()
  const folders = new Folders(directory)
  await folders.clean()
  await folders.make()
  const other = temporaryDirectory()
  writeFileSync(join(other, 'precious'), '')
  symlinkSync(other, join(directory, 'run', 'fnaad-host-evil'))
  await folders.clean()
  t.strictSame(readdirSync(join(directory, 'run')), [])
  t.ok(existsSync(join(other, 'precious')))
})
