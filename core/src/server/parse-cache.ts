import { type Command, parseCommand } from '@fnaa/protocol'

const MOST = 1024
const LONGEST = 160
const known = new Map<string, Command>()

/**
 * Parses a line; short lines that repeat are parsed once. Commands are immutable, so they can be shared. Lines before
 * login are never kept: one may be a password.
 */
export function parse(line: string, keep: boolean): Command {
  if (!keep || line.length > LONGEST) return parseCommand(line)
  const hit = known.get(line)
  if (hit) return hit
  const command = parseCommand(line)
  if (known.size >= MOST) known.clear()
  known.set(line, command)
  return command
}
