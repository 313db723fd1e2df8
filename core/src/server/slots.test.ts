import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { SERVER_LIMITS } from '../config/define.js'
import { Slots } from './slots.js'
import { isLoopback, networkOf, onLoopback, sourceOf } from './sources.js'

let port = 1024
class FakeSocket extends EventEmitter {
  remotePort = port++
  localPort = 61_000
  constructor(
    readonly remoteAddress: string,
    readonly localAddress: string,
  ) {
    super()
  }
  destroy(): void {
    this.emit('close')
  }
}
const from = (address: string, local = '192.0.2.1') => new FakeSocket(address, local) as unknown as Socket & FakeSocket
const slots = (more: object) => new Slots({ ...SERVER_LIMITS, ...more })

t.test('by source: /32 and /64; what closes leaves room', async t => {
  const s = slots({ perAddress: 2 })
  const first = from('2001:db8::1')
  t.ok(s.take(first))
  t.ok(s.take(from('2001:db8::2')))
  t.equal(s.take(from('2001:db8::3')), null)
  t.ok(s.take(from('2001:db8:0:1::3')))
  first.destroy()
  t.ok(s.take(from('2001:db8::4')))
  t.equal(s.take(from('2001:db8::5')), null)
  t.equal(s.size, 3)
})

t.test('those that have not logged in', async t => {
  const s = slots({ unauthenticated: 2 })
  const slot = s.take(from('198.51.100.1'))!
  s.take(from('198.51.100.2'))
  t.equal(s.take(from('198.51.100.3')), null)
  slot.loggedIn(false)
  slot.loggedIn(false)
  t.ok(s.take(from('198.51.100.3')), 'one has logged in, and counts once')
  t.equal(s.take(from('198.51.100.4')), null)
})

t.test('a processor of our own is not counted with its address', async t => {
  const s = slots({ perAddress: 1 })
  const socket = from('198.51.100.1')
  s.take(socket)!.loggedIn(true)
  t.ok(s.take(from('198.51.100.1')))
  socket.destroy()
  t.equal(s.take(from('198.51.100.1')), null, 'nor given back twice')
})

t.test('the reserve is for both ends on loopback; who waits there the longest makes room', async t => {
  const s = slots({ perAddress: 1 })
  s.take(from('127.0.0.1', '127.0.0.1'))
  s.take(from('198.51.100.1', '127.0.0.1'))
  t.equal(s.take(from('198.51.100.1', '127.0.0.1')), null)
  s.take(from('127.0.0.1'))
  const waiting = Array.from({ length: 17 }, () => from('127.0.0.1', '127.0.0.1'))
  const closed = waiting.map(() => false)
  for (const [i, w] of waiting.entries())
    w.on('close', () => {
      closed[i] = true
    })
  const first = s.take(waiting[0]!)!
  t.ok(first.reserved)
  first.loggedIn(true)
  for (const w of waiting.slice(1)) t.ok(s.take(w))
  t.notOk(closed.includes(true), 'who logged in left the reserve')
  t.ok(s.take(from('127.0.0.1', '127.0.0.1')))
  t.same(closed.indexOf(true), 1)
  t.equal(closed.filter(Boolean).length, 1)
})

t.test('H22 what loopback is, of one address; sources and networks', async t => {
  for (const yes of ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1']) t.ok(isLoopback(yes), yes)
  for (const no of [undefined, '', '128.0.0.1', '10.127.0.1', '::', '::ffff:10.0.0.1', '::2', '0.0.0.0', 'fe80::1'])
    t.notOk(isLoopback(no), String(no))
  const ends = (remoteAddress: string, localAddress: string) => onLoopback({ remoteAddress, localAddress })
  t.ok(ends('127.0.0.1', '127.0.0.1'))
  t.ok(ends('::ffff:127.0.0.9', '::ffff:127.0.0.1'))
  t.notOk(ends('127.0.0.1', '192.0.2.1'))
  t.notOk(ends('192.0.2.1', '127.0.0.1'))
  t.notOk(onLoopback({}), 'a socket that is gone')
  t.equal(sourceOf('::ffff:192.0.2.7'), '192.0.2.7')
  t.equal(networkOf('192.0.2.7'), '192.0.2.0/24')
  t.equal(sourceOf('2001:db8::1'), '2001:db8:0:0::/64')
  t.equal(networkOf('2001:db8:1:2::1'), '2001:db8:1::/48')
  t.equal(networkOf('::1'), '0:0:0::/48')
})
