import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** Changes an answer on its way; null: none is sent. */
export type Tamper = (answer: Buffer, query: Buffer) => Buffer | null

/** A name server before another one that spoils its answers: for servers that break a promise. */
export async function front(
  behind: { host: string; port: number },
  tamper: Tamper,
): Promise<{ host: string; port: number; close(): Promise<void> }> {
  const { connect } = await import('node:net')
  const tcp = createServer(socket => {
    const to = connect(behind.port, behind.host)
    socket.on('error', () => to.destroy())
    to.on('error', () => socket.destroy())
    socket.pipe(to)
    to.pipe(socket)
  })
  await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as { port: number }
  const udp = createSocket('udp4')
  udp.on('message', (query, from) => {
    const to = createSocket('udp4')
    const timer = setTimeout(() => to.close(), 1000)
    to.on('message', answer => {
      clearTimeout(timer)
      to.close()
      const said = tamper(answer, query)
      if (said) udp.send(said, from.port, from.address)
    })
    to.connect(behind.port, behind.host, () => to.send(query))
  })
  await new Promise<void>(resolve => udp.bind(port, '127.0.0.1', resolve))
  return {
    host: '127.0.0.1',
    port,
    async close() {
      await Promise.all([new Promise<void>(r => udp.close(r)), new Promise<void>(r => tcp.close(() => r()))])
    },
  }
}
