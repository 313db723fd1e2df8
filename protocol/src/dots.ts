// The lines of a WRITE end with a single dot, so a line of an event that begins with a dot gets another one (as in RFC
// 5321 §4.5.2).

/** An event's line as it goes on the wire. */
export const stuffDot = (line: string): string => (line.startsWith('.') ? `.${line}` : line)

/** A line of the wire as the event's, or null for the dot that ends the WRITE. */
export function unstuffDot(line: string): string | null {
  if (line === '.') return null
  return line.startsWith('.') ? line.slice(1) : line
}
