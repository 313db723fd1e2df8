import { createRequire } from 'node:module'
import { notHere } from './codec.js'

/**
 * A package with a native part, loaded when it is first used: who never meets its codec pays nothing for it.
 * @throws FnapError NOTSUPPORTED where it has no build for this platform, or was left out of a bundle
 */
export function native<T>(codec: string, name: string): () => T {
  let loaded: T | undefined
  return () => {
    try {
      loaded ??= createRequire(import.meta.url)(name) as T
      return loaded
    } catch {
      throw notHere(codec, `install ${name} on a platform that it is built for`)
    }
  }
}
