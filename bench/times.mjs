// Start of an agent, of the CLI, and SUBSCRIBE between two agents to active, with a warm host.
import { spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { agent, folder, freePort, interleave, median, root, round, row } from './lib.mjs'

class Line {
  constructor(socket) {
    this.socket = socket
    this.text = ''
    socket.on('data', d => {
      this.text += d
      this.wake?.()
    })
  }
  static async login(port) {
    const l = new Line(connect(port, '127.0.0.1'))
    await l.until(/FNAA\r\n/)
    await l.say('AUTHENTICATE PLAIN', /\r\n/)
    await l.say('AHRlc3QAdGVzdA==', /\r\n/)
    return l
  }
  async until(end) {
    while (!end.test(this.text)) await new Promise(r => (this.wake = r))
    const text = this.text
    this.text = ''
    return text
  }
  async say(line, end = /^(220 OK|[45]\d\d|220 PENDING)[^\r\n]*\r\n$/m) {
    this.socket.write(`${line}\r\n`)
    return this.until(end)
  }
}

export async function times() {
  const rows = []
  const starts = []
  // Over state that is there: the first start also makes keys and certificates.
  const state = { data: folder(), dnsPort: await freePort() }
  for (let i = 0; i < 6; i++) {
    const a = await agent(state)
    if (i > 0) starts.push(a.readyMs)
    await a.stop()
  }
  const ready = median(starts)
  rows.push({
    what: 'agent start to ready',
    ours: `${round(ready)} ms`,
    rival: '',
    ratio: '',
    goal: '<=400 ms',
    reached: ready <= 400 ? 'yes' : 'no',
  })

  const time = args => () => {
    const started = performance.now()
    spawnSync(process.execPath, args)
    return performance.now() - started
  }
  const cli = await interleave(21, {
    ours: time([join(root, 'cli/bin/fnua.js'), '--version']),
    bare: time(['-e', '0']),
  })
  rows.push(row('fnua --version against node', cli.ours, cli.bare, '<=1.3', 'ms'))

  const data = folder()
  const [da, db] = [await freePort(), await freePort()]
  const ca = join(data, 'ca')
  const a = await agent({
    domain: 'unix.test',
    data,
    ca,
    dnsPort: da,
    neighbours: { 'emiliano.test': `127.0.0.1:${db}` },
  })
  const b = await agent({
    domain: 'emiliano.test',
    data,
    ca,
    dnsPort: db,
    neighbours: { 'unix.test': `127.0.0.1:${da}` },
  })
  const owner = await Line.login(a.port)
  const user = await Line.login(b.port)
  const taken = []
  for (let i = 0; i < 25; i++) {
    await owner.say(`CREATE FLOW f${i}.flows.unix.test VISIBILITY public`)
    const started = performance.now()
    const reply = await user.say(
      `SUBSCRIBE f${i}.flows.unix.test LOCAL f${i}.flows.emiliano.test`,
      /220 OK\r\n|[45]\d\d [^\r\n]*\r\n/,
    )
    if (!reply.includes('SUBSCRIBED TO')) throw new Error(reply)
    if (i >= 5) taken.push(performance.now() - started)
  }
  const p50 = median(taken)
  rows.push({
    what: 'SUBSCRIBE between two agents to active, p50',
    ours: `${round(p50)} ms`,
    rival: '',
    ratio: '',
    goal: '<=50 ms',
    reached: p50 <= 50 ? 'yes' : 'no',
  })
  await a.stop()
  await b.stop()
  return rows
}
