import { createPublicKey, type KeyObject } from 'node:crypto'

/** The public key object of 32 bytes (RFC 8037 §2). */
export function ed25519Key(bytes: Uint8Array): KeyObject {
  const x = Buffer.from(bytes).toString('base64url')
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } })
}
