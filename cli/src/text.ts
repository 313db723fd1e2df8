/**
 * Text that came from elsewhere, as a terminal may see it: controls, C1 and direction marks are shown as escapes, so
 * that nobody can move the cursor, rename the window or reorder a line.
 */
export function safe(text: string): string {
  return text.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, c => {
    const code = c.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/** The same for JSON, which must stay JSON: C1 and direction marks as escapes of JSON's own. */
export function safeJson(json: string): string {
  return json.replace(
    /[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
