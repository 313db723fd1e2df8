const HIDDEN = '***'
const SECRETS = 'password|passwd|secret|token|access_token|private_key|client_secret'
/** `password=…` of a data line. */
const PAIR = new RegExp(`\\b(${SECRETS})=[^ ]*`, 'gi')
/** `"password":"…"` of a JSON line. */
const MEMBER = new RegExp(`"(${SECRETS})" *: *"(?:[^"\\\\]|\\\\.)*"`, 'gi')

/**
 * A line of the dialogue for people to see (`-d`, history, traces, logs) without what it takes to log in: initial
 * responses, challenges, and values of `password` and the like (hardening H33). The lines of an exchange that carry no
 * command, base64 alone, are for the session to hide: `maskResponse`.
 */
export function maskLine(line: string): string {
  const auth = /^(AUTHENTICATE {1,16}[^ ]{1,64} {1,16}|334 |220 Authenticated )(?=[^ ])/i.exec(line.slice(0, 256))
  if (auth) return auth[0] + HIDDEN
  return line.replace(PAIR, `$1=${HIDDEN}`).replace(MEMBER, `"$1":"${HIDDEN}"`)
}

/** A line of an authentication exchange: only `*`, which cancels, is shown. */
export const maskResponse = (line: string): string => (line === '*' || line === '' ? line : HIDDEN)
