import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { AddressGuard } from '@fnaa/client'

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>

/**
 * The addresses of this machine that others may be told: those to which an agent of theirs would connect, private ones only
 * where the operator allows them.
 */
export function ownAddresses(allow: readonly string[], of: Interfaces = networkInterfaces()): string[] {
  const guard = new AddressGuard({ allow })
  const found = Object.values(of).flatMap(list => list ?? [])
  const open = found.filter(i => !i.internal && guard.allows(i.address)).map(i => i.address)
  return [...new Set(open)].sort()
}
