import { readFile, stat } from 'node:fs/promises'
import { FnaError } from '@fnaa/core/plugin'
import { isOwner } from '@fnaa/protocol'
import { canonical } from './names.js'
import { ALGORITHMS, type TsigAlgorithm, type TsigKey } from './tsig.js'

/** A secret shorter than this is guessed: 128 bits (RFC 8945 §5.1 wants at least the half of the digest). */
const SHORTEST = 16

/**
 * A key as tsig-keygen prints it: `key "name" { algorithm hmac-sha256; secret "…"; };`, comments of all three kinds allowed.
 * @throws FNA_ERR_CONFIG that says what is wrong and never what the secret is
 */
export function parseKey(text: string, file: string): TsigKey {
  const wrong = (what: string) =>
    new FnaError('FNA_ERR_CONFIG', `the key file ${file} ${what}; tsig-keygen -a hmac-sha256 NAME writes one`)
  // A secret may hold two slashes, which begin a comment anywhere else.
  const bare = text.replace(/("[^"\n]*")|\/\*[\s\S]*?\*\/|\/\/[^\n]*|#[^\n]*/g, (_all, string) => string ?? ' ')
  const found = [...bare.matchAll(/\bkey\s+("?)([\w.-]+)\1\s*\{([^}]*)\}\s*;/g)]
  if (found.length !== 1) throw wrong(found.length === 0 ? 'holds no key' : 'holds more than one key')
  const [, , name, body] = found[0] as unknown as [string, string, string, string]
  const of = (word: string) => new RegExp(`\\b${word}\\s+"?([^";\\s]+)"?\\s*;`).exec(body)?.[1]
  return makeKey({ name, algorithm: of('algorithm') ?? '', secret: of('secret') ?? '' }, wrong)
}

/** @throws what `wrong` makes */
export function makeKey(
  key: { readonly name: string; readonly algorithm?: string | undefined; readonly secret: string },
  wrong: (what: string) => Error,
): TsigKey {
  const name = canonical(key.name)
  const algorithm = canonical(key.algorithm ?? 'hmac-sha256')
  if (!isOwner(name)) throw wrong('gives the key a name that is none of DNS')
  if (!isAlgorithm(algorithm)) throw wrong(`names an algorithm that is not one of ${ALGORITHMS.join(', ')}`)
  const secret = Buffer.from(key.secret, 'base64')
  const same = secret.toString('base64').replace(/=+$/, '') === key.secret.replace(/=+$/, '')
  if (!same || secret.length < SHORTEST) throw wrong(`has a secret that is no base64 of ${SHORTEST} bytes or more`)
  return { name, algorithm, secret }
}

const isAlgorithm = (text: string): text is TsigAlgorithm => (ALGORITHMS as readonly string[]).includes(text)

/** The key of a file, read again whenever the file has changed: an operator rotates it without stopping anything. */
export class KeyFile {
  readonly #file: string
  #seen = ''
  #key: TsigKey | null = null

  constructor(file: string) {
    this.#file = file
  }

  /** @throws FNA_ERR_CONFIG where the file is not there, or holds no key */
  async read(): Promise<TsigKey> {
    try {
      const { mtimeMs, ino, size } = await stat(this.#file)
      const seen = `${ino} ${mtimeMs} ${size}`
      if (this.#key && seen === this.#seen) return this.#key
      this.#key = parseKey(await readFile(this.#file, 'utf8'), this.#file)
      this.#seen = seen
      return this.#key
    } catch (e) {
      const { code } = e as NodeJS.ErrnoException
      if (code === 'FNA_ERR_CONFIG') throw e
      throw new FnaError('FNA_ERR_CONFIG', `the key file ${this.#file} cannot be read (${code ?? 'unknown'})`, {
        cause: e,
      })
    }
  }
}
