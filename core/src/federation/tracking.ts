import type { Right } from '../contract/kinds.js'
import type { Subject } from '../grants/authorizer.js'
import type { Session } from '../server/session.js'

/** A READ or WRITE under way. */
export interface Tracked {
  readonly session: Session
  readonly flow: string
  /** The name that was used: the flow, or a subscriber's endpoint. */
  readonly name: string
  readonly right: Extract<Right, 'read' | 'write'>
  readonly subject: Subject
}

/** Who reads or writes which flow at this moment, so that a right that ends, ends the stream too. */
export class Tracking {
  readonly #byFlow = new Map<string, Set<Tracked>>()

  add(t: Tracked): () => void {
    const known = this.#byFlow.get(t.flow)
    if (known) known.add(t)
    else this.#byFlow.set(t.flow, new Set([t]))
    return () => {
      const set = this.#byFlow.get(t.flow)
      set?.delete(t)
      if (set?.size === 0) this.#byFlow.delete(t.flow)
    }
  }

  of(flow: string): Tracked[] {
    return [...(this.#byFlow.get(flow) ?? [])]
  }

  /** Destroys every stream of the flow for which `which` holds. @returns how many */
  cut(flow: string, which: (t: Tracked) => boolean): number {
    const cut = this.of(flow).filter(which)
    for (const t of cut) t.session.destroy()
    return cut.length
  }
}
