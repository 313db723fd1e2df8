import type { Socket } from 'node:net'
import type { ServerLimits } from '../config/define.js'
import { onLoopback, sourceOf } from './sources.js'

/** What who comes beyond the limits is told. */
export const CROWDED = 'too many connections, try again later'
/** Connections from this machine that may come beyond the limits, to log in as a processor of ours or to be closed. */
const RESERVE = 16

/**
 * One connection that counts, from the accepted socket until that socket closes: through handshakes and from the session
 * before STARTTLS to the one behind it.
 */
export interface Slot {
  /** Came beyond the limits: only a processor of our own may log in here. */
  readonly reserved: boolean
  /** A TLS handshake begins; the socket is destroyed where it takes longer (milliseconds). */
  handshake(ms: number): void
  /** The handshake has ended. */
  secured(): void
  /** Somebody has logged in. A processor of our own is not counted any more: its credential says that we made it. */
  loggedIn(processor: boolean): void
}

/** The bounds on connections: in all, not logged in, from one source. */
export class Slots {
  readonly #limits: ServerLimits
  readonly #perSource = new Map<string, number>()
  readonly #byPeer = new Map<string, Slot>()
  readonly #handshakes = new Set<Socket>()
  /** Not logged in, of the reserve; oldest first. */
  readonly #reserve = new Set<Socket>()
  #all = 0
  #strangers = 0

  constructor(limits: ServerLimits) {
    this.#limits = limits
  }

  /** Connections that count. */
  get size(): number {
    return this.#all
  }

  /** @returns null where there are too many */
  take(socket: Socket): Slot | null {
    const source = sourceOf(socket.remoteAddress ?? '')
    const l = this.#limits
    const from = this.#perSource.get(source) ?? 0
    const reserved = this.#all >= l.connections || this.#strangers >= l.unauthenticated || from >= l.perAddress
    if (reserved && !this.#enterReserve(socket)) return null
    if (!reserved) {
      this.#all++
      this.#strangers++
      this.#perSource.set(source, from + 1)
    }
    return this.#slot(socket, source, reserved)
  }

  /** The slot of a socket inside TLS: Node does not tell which one it wraps, but both have the same two ends. */
  of(socket: Socket): Slot | undefined {
    return this.#byPeer.get(ends(socket))
  }

  /** Ends the handshakes under way. */
  close(): void {
    for (const socket of this.#handshakes) socket.destroy()
  }

  #slot(socket: Socket, source: string, reserved: boolean): Slot {
    let strange = !reserved
    let counted = !reserved
    let timer: NodeJS.Timeout | undefined
    const known = () => {
      if (strange) this.#strangers--
      strange = false
      this.#reserve.delete(socket)
    }
    const uncount = () => {
      if (!counted) return
      counted = false
      this.#all--
      this.#leave(source)
    }
    const secured = () => {
      clearTimeout(timer)
      this.#handshakes.delete(socket)
    }
    const key = ends(socket)
    const slot: Slot = {
      reserved,
      handshake: ms => {
        this.#handshakes.add(socket)
        timer = setTimeout(() => socket.destroy(), ms)
      },
      secured,
      loggedIn: processor => {
        known()
        if (processor) uncount()
      },
    }
    this.#byPeer.set(key, slot)
    socket.once('close', () => {
      known()
      uncount()
      secured()
      if (this.#byPeer.get(key) === slot) this.#byPeer.delete(key)
    })
    return slot
  }

  /** The oldest that has not logged in makes room, so that who waits there cannot fill it. */
  #enterReserve(socket: Socket): boolean {
    if (!onLoopback(socket)) return false
    const oldest = this.#reserve.values().next()
    if (this.#reserve.size >= RESERVE && !oldest.done) oldest.value.destroy()
    this.#reserve.add(socket)
    return true
  }

  #leave(source: string): void {
    const left = (this.#perSource.get(source) ?? 1) - 1
    if (left > 0) this.#perSource.set(source, left)
    else this.#perSource.delete(source)
  }
}

const ends = (s: Socket): string => `${s.remoteAddress} ${s.remotePort} ${s.localAddress} ${s.localPort}`
