import { fork } from 'node:child_process'
import t from 'tap'
import { folder } from './support/agents.js'
import { dialogue, LOGIN } from './support/dialogue.js'
import { FNAAD } from './support/process.js'
import { Raw } from './support/raw.js'
import { twoPorts } from './support/start.js'
import { gather, ready, stopped } from './support/thesis.js'

t.test('fnaad dev: the telnet dialogues of the thesis work as printed', async t => {
  const port = await twoPorts()
  const args = ['dev', '--empty', '--domains', 'unix.ar,emiliano.ar', '--port', String(port), '--data', await folder(t)]
  const child = fork(FNAAD, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  t.teardown(() => stopped(child))
  await ready(child, gather(child))
  const raw = await Raw.open(t, port)
  t.equal(await raw.line(), '220 fnaa.unix.ar FNAA', 'T2')
  await dialogue(
    t,
    raw,
    [
      ...LOGIN,
      ['CREATE FLOW time.flows.unix.ar', '220 OK time.flows.unix.ar'],
      [
        'DESCRIBE FLOW time.flows.unix.ar',
        '220 DATA',
        'flow=time.flows.unix.ar',
        'type=fnap',
        'topic=time.flows.unix.ar',
        /^server=fnaa\.unix\.ar:\d+$/,
        '220 OK',
      ],
      [
        'SUBSCRIBE time.flows.unix.ar LOCAL emiliano.ar-time.flows.unix.ar',
        '220 DATA',
        /^[a-z2-7]{26}\.time\.flows\.unix\.ar$/,
        '220 OK',
      ],
      ['QUIT', '220 Bye'],
    ].slice(0, -1) as never,
  )
  const other = await Raw.open(t, port + 1)
  t.equal(await other.line(), '220 fnaa.emiliano.ar FNAA')
})
