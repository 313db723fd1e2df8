import { BlockList, isIP } from 'node:net'
import { ClientError } from './errors.js'

type Range = readonly [address: string, prefix: number]

/** IPv4 that no stranger may name: IANA's special-purpose registry (RFC 6890), multicast, and metadata services. */
const REFUSED_V4: readonly Range[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // shared by carriers; one cloud's metadata service lives here
  ['127.0.0.0', 8],
  ['168.63.129.16', 32], // a cloud's host service, on a public address
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]

/** Only this part of IPv6 is handed out to networks, so everything else (mapped, NAT64, local, multicast) is refused. */
const GLOBAL_V6: Range = ['2000::', 3]

/** Parts of 2000::/3 that carry another address inside them, or reach nobody. */
const REFUSED_V6: readonly Range[] = [
  ['2001::', 23], // protocol assignments: Teredo, ORCHID, benchmarking
  ['2001:db8::', 32],
  ['2002::', 16], // 6to4
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
]

/**
 * Decides to which addresses an agent connects when a stranger named them (security rows 14 and 15).
 * It judges addresses, not names: the caller resolves first and connects to exactly what was judged.
 */
export class AddressGuard {
  // One list for each family: a BlockList that holds both compares IPv4 with IPv6 rules in their mapped form.
  readonly #refused4 = listOf(REFUSED_V4, 'ipv4')
  readonly #refused6 = listOf(REFUSED_V6, 'ipv6')
  readonly #global6 = listOf([GLOBAL_V6], 'ipv6')
  readonly #allow4 = new BlockList()
  readonly #allow6 = new BlockList()

  /**
   * @param opt.allow CIDR ranges that the operator permits although they are refused by default, as `127.0.0.0/8`
   * @throws FNA_ERR_CONFIG for a range that is none
   */
  constructor(opt: { readonly allow?: readonly string[] } = {}) {
    for (const text of opt.allow ?? []) {
      const { address, prefix, family } = parseRange(text)
      if (family === 4) this.#allow4.addSubnet(address, prefix, 'ipv4')
      else this.#allow6.addSubnet(address, prefix, 'ipv6')
    }
  }

  /** True where `address` is an IP address in its usual form and may be connected to. Zone ids (`%eth0`) never may. */
  allows(address: string): boolean {
    const family = address.includes('%') ? 0 : isIP(address)
    if (family === 4) return this.#allow4.check(address, 'ipv4') || !this.#refused4.check(address, 'ipv4')
    if (family !== 6) return false
    if (this.#allow6.check(address, 'ipv6')) return true
    return this.#global6.check(address, 'ipv6') && !this.#refused6.check(address, 'ipv6')
  }
}

function listOf(ranges: readonly Range[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const [address, prefix] of ranges) list.addSubnet(address, prefix, family)
  return list
}

function parseRange(text: string): { address: string; prefix: number; family: 4 | 6 } {
  const [address = '', length, more] = text.split('/')
  const family = address.includes('%') ? 0 : isIP(address)
  const most = family === 4 ? 32 : 128
  const prefix = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  if (family === 0 || more !== undefined || !(prefix <= most)) {
    throw new ClientError('FNA_ERR_CONFIG', 'an allowed range must be an address or CIDR, as 192.168.1.0/24')
  }
  return { address, prefix, family: family as 4 | 6 }
}
