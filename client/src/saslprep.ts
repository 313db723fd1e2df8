import { ClientError } from './errors.js'

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/

/**
 * A user name or password in the form that is hashed and compared (RFC 4013 for SASLprep, RFC 5802 §2.2).
 * Code points that Unicode assigned after 3.2, emoji among them, are let through: a password that was set must log in.
 * @throws FNA_ERR_INVALID for controls, private-use code points, broken surrogates and mixed directions
 */
export async function saslprep(text: string): Promise<string> {
  if (PRINTABLE_ASCII.test(text)) return text
  // The tables are large and most names and passwords are ASCII, for which the profile changes nothing.
  const { saslprep: prepare } = await import('@mongodb-js/saslprep')
  try {
    return prepare(text, { allowUnassigned: true })
  } catch {
    throw new ClientError(
      'FNA_ERR_INVALID',
      'a user name or password holds a character that SASLprep (RFC 4013) forbids',
    )
  }
}
