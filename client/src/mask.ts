/** What stands where a secret was. */
export const MASK = '***'

const SECRET_PAIR = /\b(password|secret|token)=[^ ]+/gi
const SECRET_MEMBER =
  /("(?:password|secret|token|credential|secretAccessKey|accessKey|privateKey)"\s*:\s*)"(?:[^"\\]|\\.)*"/gi
const CREDENTIAL = /("credential"\s*:\s*)\{/gi

/**
 * A line of the dialogue as it may be shown, recorded or logged (hardening H33): what proves an identity is masked.
 * `exchange` says that the line belongs to an authentication exchange, where every word but the first is a secret.
 */
export function maskLine(line: string, exchange = false): string {
  if (/^AUTHENTICATE /i.test(line)) return line.replace(/^(\S+ +\S+)( +\S.*)$/i, `$1 ${MASK}`)
  if (/^334 ./.test(line)) return `334 ${MASK}`
  if (/^220 Authenticated ./i.test(line)) return `220 Authenticated ${MASK}`
  // `*` calls the exchange off and is no secret.
  if (exchange && !/^(?:[2-5]\d\d\b|\*$)/.test(line)) return MASK
  return maskObjects(line.replace(SECRET_PAIR, `$1=${MASK}`).replace(SECRET_MEMBER, `$1"${MASK}"`))
}

/** Masks every object behind `"credential":`, whole: its members differ from broker to broker. */
function maskObjects(line: string): string {
  let out = ''
  let from = 0
  for (const m of line.matchAll(CREDENTIAL)) {
    const open = (m.index ?? 0) + m[0].length - 1
    if (open < from) continue
    out += `${line.slice(from, open)}"${MASK}"`
    from = endOfObject(line, open)
  }
  return out + line.slice(from)
}

/** The index behind the object that opens at `open`, or the line's end where it does not close. */
function endOfObject(line: string, open: number): number {
  let depth = 0
  let quoted = false
  for (let i = open; i < line.length; i++) {
    const ch = line[i]
    if (quoted) {
      if (ch === '\\') i++
      else if (ch === '"') quoted = false
    } else if (ch === '"') quoted = true
    else if (ch === '{') depth++
    else if (ch === '}' && --depth === 0) return i + 1
  }
  return line.length
}
