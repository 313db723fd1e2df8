import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Entry, KeyValue } from '../contract/common.js'
import { FnaError } from '../contract/errors.js'

const VERSION = 1
const NONCE = 12
const TAG = 16

/** The agent's own key for what it seals: 32 bytes in a 0600 file beside the store, made on first use. */
export async function sealKey(directory: string): Promise<Buffer> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, 'seal.key')
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(randomBytes(32))
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e
  }
  const key = await readFile(path)
  if (key.length !== 32) {
    throw new FnaError(
      'FNA_ERR_CORRUPT',
      `${path} must hold 32 bytes; restore it from the backup of the state beside it`,
    )
  }
  return key
}

/** A bucket whose values are sealed with AES-256-GCM, bound to their key, so that values cannot be swapped. */
export function sealed(bucket: KeyValue, key: Buffer): KeyValue {
  const seal = (name: string, value: Uint8Array): Uint8Array => {
    const nonce = randomBytes(NONCE)
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name))
    return Buffer.concat([Buffer.from([VERSION]), nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()])
  }
  const unseal = (name: string, entry: Entry): Entry => {
    const bytes = Buffer.from(entry.value)
    try {
      if (bytes[0] !== VERSION) throw new Error(`version ${bytes[0]}`)
      const plain = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 1 + NONCE))
        .setAAD(Buffer.from(name))
        .setAuthTag(bytes.subarray(bytes.length - TAG))
      const value = Buffer.concat([plain.update(bytes.subarray(1 + NONCE, bytes.length - TAG)), plain.final()])
      return { value, revision: entry.revision }
    } catch (e) {
      throw new FnaError(
        'FNA_ERR_CORRUPT',
        `a sealed value does not open: seal.key is not the one it was sealed with`,
        {
          cause: e,
        },
      )
    }
  }
  return {
    async get(name, c) {
      const entry = await bucket.get(name, c)
      return entry && unseal(name, entry)
    },
    put: (name, value, opt, c) => bucket.put(name, seal(name, value), opt, c),
    delete: (name, opt, c) => bucket.delete(name, opt, c),
    async list(prefix, opt, c) {
      return (await bucket.list(prefix, opt, c)).map(([name, entry]) => [name, unseal(name, entry)] as const)
    },
  }
}
