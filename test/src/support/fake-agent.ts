import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Teardown } from './agents.js'

/** An agent that says what it is told to: a reply for each command line, null closes. */
export interface FakeAgent {
  readonly port: number
  /** Every line that was received. */
  readonly lines: string[]
}

/** @param reply what a line is answered with, without CRLF at its end; undefined: nothing */
export async function fakeAgent(
  t: Teardown,
  reply: (line: string) => string | null | undefined,
  greeting = '220 fnaa.fake.test FNAA',
): Promise<FakeAgent> {
  const lines: string[] = []
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket)
    let held = ''
    socket.on('error', () => undefined).on('close', () => open.delete(socket))
    socket.write(`${greeting}\r\n`)
    socket.on('data', (d: Buffer) => {
      held += d.toString('utf8')
      for (let end = held.indexOf('\r\n'); end >= 0; end = held.indexOf('\r\n')) {
        const line = held.slice(0, end)
        held = held.slice(end + 2)
        lines.push(line)
        const said = reply(line)
        if (said === null) socket.end()
        else if (said !== undefined) socket.write(`${said}\r\n`)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, lines }
}

/** Lets anyone in, and answers commands. */
export const letting =
  (commands: (line: string) => string | null | undefined) =>
  (line: string): string | null | undefined => {
    if (line === 'AUTHENTICATE PLAIN') return '220 OK'
    if (/^[A-Za-z0-9+/]+=*$/.test(line) && line.length > 8) return '220 Authenticated'
    return line === 'QUIT' ? '220 Bye' : commands(line)
  }
