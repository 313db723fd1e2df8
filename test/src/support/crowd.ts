import { connect, type Socket } from 'node:net'

// Another process: opens N connections to a port from many addresses of 127.0.0.0/8, counts greetings and refusals, prints
// them as JSON, and holds them until its input ends.
const port = Number(process.argv[2])
const total = Number(process.argv[3])
const AT_ONCE = 250
const sockets: Socket[] = []
let greeted = 0
let refused = 0

function one(i: number): Promise<void> {
  return new Promise(resolve => {
    const localAddress = `127.${1 + (i % 200)}.${Math.floor(i / 200) % 250}.${2 + (i % 7)}`
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    sockets.push(socket)
    let text = ''
    const done = () => {
      if (text.startsWith('220 ')) greeted++
      else refused++
      resolve()
    }
    socket.on('data', d => {
      text += d.toString()
      if (text.includes('\r\n')) {
        socket.removeAllListeners('data')
        done()
      }
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (!text.includes('\r\n')) done()
    })
  })
}

for (let i = 0; i < total; i += AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, total - i) }, (_, j) => one(i + j)))
}
process.stdout.write(`${JSON.stringify({ greeted, refused })}\n`)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
