import { fnapError } from '@fnaa/protocol'
import type { Kernel } from '../kernel.js'
import type { Session } from './session.js'

/** All sessions: for the sweep, and for whoever has to cut one. */
export class SessionRegistry {
  readonly #sessions = new Set<Session>()

  add(s: Session): void {
    this.#sessions.add(s)
  }

  remove(s: Session): void {
    this.#sessions.delete(s)
  }

  get size(): number {
    return this.#sessions.size
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#sessions[Symbol.iterator]()
  }

  /** Ends every session for which `which` says so: at once and without a word where data flow, else with 421. @returns how many */
  cut(which: (s: Session) => boolean, why = 'the right to this session has ended'): number {
    const cut = [...this.#sessions].filter(which)
    for (const s of cut) {
      if (s.streaming) s.destroy()
      else s.end(fnapError('CLOSING', why))
    }
    return cut.length
  }

  /** Closes what has been silent, unread, or half said for too long. */
  sweep(kernel: Kernel): void {
    const now = kernel.clock.now()
    const l = kernel.limits
    for (const s of this.#sessions) {
      if (!s.progress()) {
        s.stalledSince ||= now
        if (now - s.stalledSince >= l.stalledSeconds * 1000) s.destroy()
        continue
      }
      s.stalledSince = 0
      const late =
        (!s.identity && now - s.opened >= l.loginSeconds * 1000) ||
        (s.lineSince > 0 && now - s.lineSince >= l.lineSeconds * 1000) ||
        (!s.streaming && now - s.active >= l.idleSeconds * 1000)
      if (late) {
        if (s.streaming) s.destroy()
        else s.end(fnapError('CLOSING', 'nothing was said in time'))
      }
    }
  }
}
