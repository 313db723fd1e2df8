import { BlockList, isIP } from 'node:net'
import { ClientError } from './errors.js'

/** A set of addresses, given as CIDR ranges. IPv4 in IPv6's mapped form is in none: it is no usual form of an address. */
export class Networks {
  // One list for each family: a BlockList that holds both compares IPv4 with IPv6 rules in their mapped form.
  readonly #v4 = new BlockList()
  readonly #v6 = new BlockList()

  /**
   * @param what what a range is called in the error, as `an allowed range`
   * @throws FNA_ERR_CONFIG for a range that is none
   */
  constructor(ranges: readonly string[], what: string) {
    for (const text of ranges) {
      const { address, prefix, family } = parseRange(text, what)
      if (family === 4) this.#v4.addSubnet(address, prefix, 'ipv4')
      else this.#v6.addSubnet(address, prefix, 'ipv6')
    }
  }

  /** False for what is no IP address in its usual form. */
  has(address: string): boolean {
    const family = address.includes('%') ? 0 : isIP(address)
    if (family === 4) return this.#v4.check(address, 'ipv4')
    return family === 6 && this.#v6.check(address, 'ipv6')
  }
}

function parseRange(text: string, what: string): { address: string; prefix: number; family: 4 | 6 } {
  const [address = '', length, more] = text.split('/')
  const family = address.includes('%') ? 0 : isIP(address)
  const most = family === 4 ? 32 : 128
  const prefix = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  if (family === 0 || more !== undefined || !(prefix <= most)) {
    throw new ClientError('FNA_ERR_CONFIG', `${what} must be an address or CIDR, as 192.168.1.0/24`)
  }
  return { address, prefix, family: family as 4 | 6 }
}
