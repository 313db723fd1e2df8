import { expectSuccess } from '@fnaa/client'
import { LIMITS } from '@fnaa/protocol'
import type { Context } from './context.js'
import { CliError, EXIT } from './errors.js'
import { type Given, requestOf } from './line.js'
import { writeBatches } from './run-batches.js'
import { titleOf, withSession } from './run-verb.js'
import type { Session } from './session.js'
import { LineGroups } from './stdin.js'
import type { CommandSpec } from './tree.js'

/**
 * WRITE: each line of standard input is an event. Lines go out as they come, many in one WRITE; each WRITE is all or
 * nothing, and done when it is durable.
 */
export async function runWrite(cx: Context, spec: CommandSpec, words: readonly string[], given: Given): Promise<void> {
  const request = requestOf(spec, words, given)
  cx.debug.say(titleOf(request))
  if (cx.settings.passwordStdin) {
    throw new CliError('--password-stdin leaves no standard input for events', EXIT.usage, { hint: 'FNUA_PASSWORD' })
  }
  await withSession(cx, request, async session => {
    cx.debug.say(`Executing command ${request.line}`)
    if (request.options['format'] === 'batch') return writeBatches(cx, session, request)
    await writeAll(cx, session, request.line)
  })
}

/** Writes standard input to a flow, and says how many events are durable, whatever happens. */
export async function writeAll(cx: Context, session: Session, line: string): Promise<void> {
  const input = new LineGroups(cx.stdin, LIMITS.body)
  let written = 0
  try {
    for (let group = await input.next(cx.interrupt); group; group = await input.next(cx.interrupt)) {
      await writeGroup(session, line, group, written)
      written += group.length
    }
  } finally {
    input.stop()
    cx.note(`wrote ${written} ${written === 1 ? 'event' : 'events'}`)
  }
}

async function writeGroup(session: Session, line: string, group: readonly Buffer[], before: number): Promise<void> {
  const texts = group.map((bytes, at) => eventLine(bytes, before + at + 1))
  const sink = await session.connection.write(line)
  for (const text of texts) await sink.send(text)
  expectSuccess(await sink.end())
}

/** A line as WRITE takes it. @throws CliError that names the line */
function eventLine(bytes: Buffer, line: number): string {
  if (bytes.length > LIMITS.event) {
    throw new CliError(`stdin:${line}: an event is at most ${LIMITS.event} bytes`, EXIT.failed)
  }
  if (bytes.includes(0x0d) || bytes.includes(0)) {
    throw new CliError(`stdin:${line}: an event line holds no CR and no NUL`, EXIT.failed, {
      hint: 'a CloudEvent in JSON with the data in data_base64',
    })
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CliError(`stdin:${line}: an event line is UTF-8`, EXIT.failed, {
      hint: 'a CloudEvent in JSON with the data in data_base64',
    })
  }
}
