import { fnapError } from '@fnaa/protocol'
import type { Kernel } from '../kernel.js'
import type { Result, Session } from './session.js'

/** What a session is used for while events pass. */
export interface Use {
  readonly command: 'READ' | 'WRITE'
  /** A flow, or an endpoint of one, as the client named it. */
  readonly flow: string
  /** Milliseconds of the clock. */
  readonly since: number
}

/** All sessions: for the sweep, and for whoever has to cut one. */
export class SessionRegistry {
  readonly #sessions = new Set<Session>()
  readonly #uses = new WeakMap<Session, Use>()

  add(s: Session): void {
    this.#sessions.add(s)
  }

  remove(s: Session): void {
    this.#sessions.delete(s)
  }

  get size(): number {
    return this.#sessions.size
  }

  use(s: Session): Use | undefined {
    return this.#uses.get(s)
  }

  /** A stream that is known as this use of its session while it runs. */
  during(use: Use, result: Result): Result {
    if (typeof result !== 'object' || !('stream' in result)) return result
    return {
      stream: async s => {
        this.#uses.set(s, use)
        try {
          await result.stream(s)
        } finally {
          this.#uses.delete(s)
        }
      },
    }
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
