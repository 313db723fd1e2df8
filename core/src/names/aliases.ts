import type { Resource } from '../contract/store.js'
import type { Resources } from '../resources/resources.js'
import { aliasOf, isAlias } from './names.js'

/** Private aliases by their user: most users have none, and every name that one says is looked for here first. */
export class Aliases {
  readonly #byUser = new Map<string, Map<string, Resource<'Flow'>>>()

  constructor(resources: Resources) {
    for (const f of resources.list('Flow')) this.#learn(f)
    resources.onChange((r, _previous, gone) => {
      if (r.kind !== 'Flow') return
      if (gone) this.#forget(r as Resource<'Flow'>)
      else this.#learn(r as Resource<'Flow'>)
    })
  }

  /** The flow that this user means by a name, where it is an alias; deleted ones are found until they have gone. */
  get(user: string, name: string): Resource<'Flow'> | undefined {
    return this.#byUser.get(user)?.get(name)
  }

  #learn(f: Resource<'Flow'>): void {
    if (!isAlias(f.name)) return
    const user = userOf(f)
    const known = this.#byUser.get(user)
    if (known) known.set(aliasOf(f.name), f)
    else this.#byUser.set(user, new Map([[aliasOf(f.name), f]]))
  }

  #forget(f: Resource<'Flow'>): void {
    if (!isAlias(f.name)) return
    const user = userOf(f)
    const known = this.#byUser.get(user)
    known?.delete(aliasOf(f.name))
    if (known?.size === 0) this.#byUser.delete(user)
  }
}

const userOf = (f: Resource<'Flow'>): string => f.name.slice(1, f.name.indexOf('/'))
