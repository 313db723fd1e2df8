/** Delete, C1 controls, direction marks, and what some programs take for a line's end (U+0085, U+2028, U+2029). */
const STEERING = '\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069'
const NOT_JSON = new RegExp(`[${STEERING}]`, 'g')
const NOT_TEXT = new RegExp(`[\\x00-\\x08\\x0a-\\x1f${STEERING}]`, 'g')

/**
 * Text that came from elsewhere, as a terminal may see it: controls, C1 and direction marks are shown as escapes, so
 * that nobody can move the cursor, rename the window or reorder a line.
 */
export function safe(text: string): string {
  return text.replace(NOT_TEXT, c => {
    const code = c.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/**
 * The same for JSON, which must stay JSON: C1 and direction marks as escapes of JSON's own. In a pipe too: a line of NDJSON
 * is then one line to every program, and what is shown in the end cannot steer a terminal.
 */
export function safeJson(json: string): string {
  return json.replace(NOT_JSON, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A value as YAML. Only where something has to be escaped all strings are in double quotes, which have JSON's escapes. */
export async function safeYaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml')
  const text = stringify(value, { lineWidth: 0 })
  if (text.search(NOT_JSON) < 0) return text
  return safeJson(stringify(value, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'QUOTE_DOUBLE' }))
}
