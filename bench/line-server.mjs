// The rival of the line benchmarks: a bare server on node:net that cuts lines, knows one command, and writes once per chunk
// read. Nothing else: no states, no limits, no login. Prints its port.
import net from 'node:net'

const OK = '220 OK\r\n'
const server = net.createServer({ noDelay: true }, socket => {
  let rest = null
  socket.on('error', () => undefined)
  socket.on('data', chunk => {
    const data = rest ? Buffer.concat([rest, chunk]) : chunk
    let out = ''
    let at = 0
    for (let end = data.indexOf(10, at); end !== -1; end = data.indexOf(10, at)) {
      const line = data.latin1Slice(at, end - 1)
      out += line === 'NOOP' || line.startsWith('DESCRIBE') ? OK : '404 UNKNOWNCOMMAND\r\n'
      at = end + 1
    }
    rest = at < data.length ? data.subarray(at) : null
    if (out !== '') socket.write(out, 'latin1')
  })
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
