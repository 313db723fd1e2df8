import type { NetworkInterfaceInfo } from 'node:os'
import t from 'tap'
import { ownAddresses } from './interfaces.js'

const at = (address: string, internal = false) => ({ address, internal }) as NetworkInterfaceInfo

t.test('addresses that others may be told', async t => {
  const of = {
    lo: [at('127.0.0.1', true), at('::1', true)],
    eth0: [at('203.0.114.7'), at('10.0.0.7'), at('fe80::1'), at('2a01:4f8::7')],
    eth1: [at('169.254.3.4'), at('203.0.114.7'), at('100.64.0.1')],
    down: undefined,
  }
  t.same(ownAddresses([], of), ['203.0.114.7', '2a01:4f8::7'])
  t.same(ownAddresses(['10.0.0.0/8'], of), ['10.0.0.7', '203.0.114.7', '2a01:4f8::7'], 'private ones where allowed')
  t.same(ownAddresses([], {}), [])
})
