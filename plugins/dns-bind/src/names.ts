import { isOwner } from '@fnaa/protocol'

/**
 * A name as it stands on the wire, lower case, without compression (RFC 1035 §3.1; RFC 8945 §4.2 wants it so in a digest).
 * @throws RangeError for what is no owner: a label that is too long would read as a pointer
 */
export function wireName(name: string): Buffer {
  if (name === '') return Buffer.from([0])
  if (!isOwner(name)) throw new RangeError('a name in DNS is labels of a-z 0-9 _ and hyphens')
  const labels = name
    .split('.')
    .map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]))
  return Buffer.concat([...labels, Buffer.from([0])])
}

/** Lower case, without the final dot. */
export const canonical = (name: string): string => name.toLowerCase().replace(/\.$/, '')
