import { signalAfter } from '@fnaa/client'
import { slowDown } from '@fnaa/protocol'
import type { StoreService } from '../contract/store.js'

/** Shares of the store's limit above which these may make nothing new; what is left is for grants and flows (hardening H9). */
const SHARES = { strangers: 0.8, cursors: 0.9 } as const

/**
 * Who may still add to the store. Strangers stop first, then readers' cursors, then (at the limit itself) everybody; what ends
 * something goes on beyond it, by `reserve` of a call. So nobody from outside can keep an owner from granting, or from revoking.
 */
export class Room {
  readonly #store: Pick<StoreService, 'usage'>

  constructor(store: Pick<StoreService, 'usage'>) {
    this.#store = store
  }

  async for(who: keyof typeof SHARES): Promise<boolean> {
    const { used, limit } = await this.#store.usage({ signal: signalAfter(5000) })
    return used <= limit * SHARES[who]
  }

  /** @throws QUOTA, which says what there is no room for */
  async need(who: keyof typeof SHARES, what: string): Promise<void> {
    if (!(await this.for(who))) throw slowDown('QUOTA', 900, `this agent has no room for ${what}`)
  }
}
