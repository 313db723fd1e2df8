// Load in another process: N connections, each with `depth` commands under way, for some seconds. Prints commands answered.
// usage: node line-load.mjs PORT CONNECTIONS DEPTH SECONDS COMMAND LINES-PER-REPLY [login]
import { once } from 'node:events'
import net from 'node:net'

const [port, connections, depth, seconds] = process.argv.slice(2, 6).map(Number)
const [command, perReply, login] = process.argv.slice(6)
const lines = Number(perReply)
const burst = Buffer.from(`${command}\r\n`.repeat(depth))
let answered = 0

async function open() {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  if (login) {
    await once(socket, 'data')
    socket.write('AUTHENTICATE PLAIN\r\n')
    await once(socket, 'data')
    socket.write('AHRlc3QAdGVzdA==\r\n')
    await once(socket, 'data')
  }
  return socket
}
function drive(socket) {
  let owed = 0
  const next = () => {
    owed = depth * lines
    socket.write(burst)
  }
  socket.on('data', chunk => {
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) owed--
    if (owed === 0) {
      answered += depth
      next()
    }
  })
  next()
}
const sockets = []
for (let i = 0; i < connections; i++) sockets.push(await open())
process.stdout.write('open\n')
await once(process.stdin, 'data')
for (const s of sockets) drive(s)
setTimeout(() => {
  process.stdout.write(`${answered}\n`)
  process.exit(0)
}, seconds * 1000)
