import { isIP } from 'node:net'
import { Networks } from './networks.js'

/** IPv4 that no stranger may name: IANA's special-purpose registry (RFC 6890), multicast, and metadata services. */
const REFUSED_V4: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10', // shared by carriers; one cloud's metadata service lives here
  '127.0.0.0/8',
  '168.63.129.16/32', // a cloud's host service, on a public address
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

/** Only this part of IPv6 is handed out to networks, so everything else (mapped, NAT64, local, multicast) is refused. */
const GLOBAL_V6 = '2000::/3'

/** Parts of 2000::/3 that carry another address inside them, or reach nobody. */
const REFUSED_V6: readonly string[] = [
  '2001::/23', // protocol assignments: Teredo, ORCHID, benchmarking
  '2001:db8::/32',
  '2002::/16', // 6to4
  '2620:4f:8000::/48',
  '3fff::/20',
]

/**
 * Decides to which addresses an agent connects when a stranger named them (security rows 14 and 15).
 * It judges addresses, not names: the caller resolves first and connects to exactly what was judged.
 */
export class AddressGuard {
  readonly #refused = new Networks([...REFUSED_V4, ...REFUSED_V6], 'a refused range')
  readonly #global6 = new Networks([GLOBAL_V6], 'a refused range')
  readonly #allowed: Networks

  /**
   * @param opt.allow CIDR ranges that the operator permits although they are refused by default, as `127.0.0.0/8`
   * @throws FNA_ERR_CONFIG for a range that is none
   */
  constructor(opt: { readonly allow?: readonly string[] } = {}) {
    this.#allowed = new Networks(opt.allow ?? [], 'an allowed range')
  }

  /** True where `address` is an IP address in its usual form and may be connected to. Zone ids (`%eth0`) never may. */
  allows(address: string): boolean {
    if (this.#allowed.has(address)) return true
    const family = address.includes('%') ? 0 : isIP(address)
    if (family === 4) return !this.#refused.has(address)
    return family === 6 && this.#global6.has(address) && !this.#refused.has(address)
  }
}
