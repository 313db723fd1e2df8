import { readdir, readFile, readlink } from 'node:fs/promises'

/** A process, as a person would look for it. */
export interface Holder {
  readonly pid: number
  readonly command: string
}

/** States of /proc/net: a TCP socket that listens, and a UDP one that is bound. */
const LISTENS = '0A'
const BOUND = '07'

/** Who listens on a port of this machine, as far as /proc tells this user: undefined elsewhere, and of another user's. */
export async function portHolder(port: number): Promise<Holder | undefined> {
  const inodes = new Set<string>()
  for (const [table, state] of [
    ['tcp', LISTENS],
    ['tcp6', LISTENS],
    ['udp', BOUND],
    ['udp6', BOUND],
  ] as const) {
    const text = await readFile(`/proc/net/${table}`, 'utf8').catch(() => '')
    for (const line of text.split('\n').slice(1)) {
      const [, local, , st, , , , , , inode] = line.trim().split(/\s+/)
      if (local && st === state && Number.parseInt(local.split(':')[1] ?? '', 16) === port)
        inodes.add(`socket:[${inode}]`)
    }
  }
  if (inodes.size === 0) return undefined
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (/^\d+$/.test(pid) && (await holds(pid, inodes))) return { pid: Number(pid), command: await commandOf(pid) }
  }
  return undefined
}

async function holds(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    const leads = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
    if (sockets.has(leads)) return true
  }
  return false
}

const LONGEST = 80
async function commandOf(pid: string): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const words = text.replaceAll('\0', ' ').trim()
  return words.length > LONGEST ? `${words.slice(0, LONGEST)}…` : words
}
