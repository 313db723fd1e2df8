import t from 'tap'
import { ResponseLimiter } from './limiter.js'
import { parseHostPort, serverAddress } from './options.js'

t.test('one network gets so many responses a second, every second one beyond it is cut (H15)', t => {
  let now = 0
  const limiter = new ResponseLimiter(10, () => now)
  const decide = (address: string, n: number) => Array.from({ length: n }, () => limiter.decide(address))
  t.same(decide('192.0.2.1', 20), Array(20).fill('send'), 'a burst of two seconds')
  t.same(decide('192.0.2.99', 4), ['drop', 'truncate', 'drop', 'truncate'], 'its neighbours count with it')
  t.same(decide('::ffff:192.0.2.5', 1), ['drop'], 'in every form of the address')
  t.same(decide('192.0.3.1', 1), ['send'], 'others do not')
  now = 500
  t.same(decide('192.0.2.1', 6), ['send', 'send', 'send', 'send', 'send', 'truncate'])
  t.same(decide('2001:db8:1:2::1', 20), Array(20).fill('send'))
  t.not(limiter.decide('2001:db8:1:ffff::9'), 'send', 'a /48')
  t.equal(limiter.decide('2001:db8:2::1'), 'send')
  t.end()
})

t.test('a million networks do not fill the memory', t => {
  const limiter = new ResponseLimiter(1, () => 0)
  for (let i = 0; i < 200_000; i++) limiter.decide(`${i >> 16}.${(i >> 8) & 255}.${i & 255}.1`)
  for (let i = 0; i < 3; i++) limiter.decide('9.9.9.9')
  t.not(limiter.decide('9.9.9.9'), 'send', 'and the one that asks now is remembered')
  t.end()
})

t.test('options', t => {
  t.same(parseHostPort('127.0.0.1:0', 'listen'), { host: '127.0.0.1', port: 0 })
  t.same(parseHostPort('[::1]:53', 'listen'), { host: '::1', port: 53 })
  for (const bad of [
    '',
    '53',
    'localhost:53',
    '127.0.0.1',
    '127.0.0.1:70000',
    '::1:53',
    '127.1:53',
    '[fe80::1%lo]:53',
  ]) {
    t.throws(() => parseHostPort(bad, 'listen'), { code: 'FNA_ERR_CONFIG' }, bad)
  }
  t.equal(serverAddress('0.0.0.0', '192.0.2.1'), '192.0.2.1')
  t.throws(() => serverAddress('0.0.0.0', undefined), { code: 'FNA_ERR_CONFIG' })
  t.end()
})
