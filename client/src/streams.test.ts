import { setTimeout as sleep } from 'node:timers/promises'
import { encodeFrame, FrameReader } from '@fnaa/protocol'
import t from 'tap'
import { enter, login, replied, type Script, talk } from './fake-agent.test.helper.js'

t.test('READ: lines are pulled, FOLLOW is stopped by an empty line', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 DATA', '{"a":1}', '{"a":2}')
    if ((await a.line()) === '') a.say('{"a":3}', '220 OK')
    await a.line()
    a.say('404 NOTFOUND no')
    await a.line()
    a.say('220 OK')
  })
  await enter(c)
  const lines: string[] = []
  const stream = await c.readLines('READ FLOW f FOLLOW')
  for await (const line of stream) {
    lines.push(line)
    if (lines.length === 2) await stream.stop()
  }
  t.same(lines, ['{"a":1}', '{"a":2}', '{"a":3}'], 'what was under way still comes')
  await t.rejects(c.readLines('READ FLOW g'), replied({ symbol: 'NOTFOUND' }))
  t.match(await c.command('NOOP'), { code: 220 }, 'the connection lives on')
})

t.test('leaving a READ early stops it', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 DATA', '1', '2', '3')
    if ((await a.line()) === '') a.say('4', '220 OK')
    await a.line()
    a.say('220 OK')
  })
  await enter(c)
  for await (const _ of await c.readLines('READ FLOW f FOLLOW')) break
  t.match(await c.command('NOOP'), { code: 220 })
})

t.test('a READ that breaks off throws', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 DATA', '1')
    a.end()
  })
  await enter(c)
  const stream = await c.readLines('READ FLOW f')
  t.same(await stream.next(), { done: false, value: '1' })
  await t.rejects(stream.next(), { code: 'FNA_ERR_UNAVAILABLE' })
  t.same(await stream.next(), { done: true, value: undefined })
})

t.test('a reader that does not read stops the agent', async t => {
  let written = 0
  let blocked = false
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 DATA')
    const chunk = `${'x'.repeat(998)}\r\n`.repeat(64)
    for (; written < 512 && !blocked; written++) {
      if (!a.socket.write(chunk)) {
        const drained = await Promise.race([new Promise(r => a.socket.once('drain', () => r(true))), sleep(300, false)])
        if (!drained) blocked = true
      }
    }
    if (blocked) await new Promise(r => a.socket.once('drain', r))
    a.say('220 OK')
  })
  await enter(c)
  const stream = await c.readLines('READ FLOW f')
  while (!blocked && written < 512) await sleep(20)
  t.ok(blocked, `the agent waits after ${written} of 512 chunks`)
  let count = 0
  for await (const _ of stream) count++
  t.equal(count, written * 64, 'and nothing is lost')
})

t.test('WRITE waits for 354, doubles dots, and refuses what would forge a line', async t => {
  const body: (string | null)[] = []
  const c = await talk(t, async a => {
    await login(a)
    body.push(await a.line())
    const early = await Promise.race([a.line(), sleep(20, 'nothing')])
    body.push(early)
    a.say('354 one event a line')
  })
  await enter(c)
  const sink = await c.write('WRITE FLOW f')
  t.same(body, ['WRITE FLOW f', 'nothing'], 'H26')
  for (const bad of ['a\r\nb', 'a\n', '\0']) await t.rejects(sink.send(bad), { code: 'FNA_ERR_INVALID' })
  sink.abort()
  t.notOk(c.open, 'half a body cannot be taken back')
})

t.test('WRITE to its end', async t => {
  const body: (string | null)[] = []
  const c = await talk(t, async a => {
    await login(a)
    for (let round = 0; round < 2; round++) {
      await a.line()
      a.say('354 go on')
      for (let line = await a.line(); line !== '.' && line !== null; line = await a.line()) body.push(line)
      a.say(round === 0 ? '220 OK written=3' : '400 BADEVENT no')
    }
    await a.line()
    a.say('404 NOTFOUND no')
    a.end()
  })
  await enter(c)
  const sink = await c.write('WRITE FLOW f')
  for (const line of ['.', '..x', 'plain']) await sink.send(line)
  t.match(await sink.end(), { kind: 'ok', text: 'written=3' })
  t.same(body, ['..', '...x', 'plain'])
  await t.rejects(sink.send('late'), { code: 'FNA_ERR_CLOSED' })
  t.match(await (await c.write('WRITE FLOW f')).end(), { kind: 'error', symbol: 'BADEVENT' })
  await t.rejects(c.write('WRITE FLOW nothing'), replied({ code: 404 }))
})

t.test('an early refusal of a WRITE is seen', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('354 go on')
    await a.line()
    a.say('413 TOOLONG the event is too long')
  })
  await enter(c)
  const sink = await c.write('WRITE FLOW f')
  await sink.send('one')
  await sleep(30)
  await t.rejects(sink.send('two'), replied({ symbol: 'TOOLONG' }))
})

/** The agent's side of frames. */
async function frames(a: Script, reader = new FrameReader()) {
  return async () => {
    for (;;) {
      const frame = reader.next()
      if (frame) return frame
      const bytes = await a.bytes()
      if (bytes.length === 0) throw new Error('the client went away')
      reader.push(bytes)
    }
  }
}

t.test('frames, both ways, then lines again', async t => {
  const batch = Buffer.from('not looked at by the client')
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 STREAM')
    const next = await frames(a)
    a.raw(
      Buffer.concat([
        encodeFrame({ type: 'D', shard: '0', cursor: '1', batch }),
        encodeFrame({ type: 'H', epoch: 'e', lag: { events: 0 } }),
      ]),
    )
    const got = [await next(), await next(), await next()]
    t.match(got, [
      { type: 'W', bytes: 1000 },
      { type: 'D', shard: '1', cursor: 'c' },
      { type: 'E', code: 220 },
    ])
    t.same(Buffer.from((got[1] as { batch: Uint8Array }).batch), batch)
    a.raw(
      Buffer.concat([
        encodeFrame({ type: 'H', epoch: 'e', lag: { events: 1 } }),
        encodeFrame({ type: 'E', code: 220, text: 'OK' }),
      ]),
    )
    await a.line()
    a.say('220 OK')
  })
  await enter(c)
  const stream = await c.stream('READ FLOW f FORMAT BATCH')
  await stream.send({ type: 'W', bytes: 1000 })
  await stream.sendData('1', 'c', batch)
  t.match(await stream.next(), { type: 'D', shard: '0', cursor: '1' })
  t.match(await stream.next(), { type: 'H' })
  t.match(await stream.end(), { type: 'E', code: 220 })
  t.equal(await stream.next(), null)
  await t.rejects(stream.send({ type: 'X' }), { code: 'FNA_ERR_CLOSED' })
  t.match(await c.command('NOOP'), { code: 220 }, 'lines go on')
})

t.test('a stream that ends on the other side', async t => {
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 STREAM')
    a.raw(encodeFrame({ type: 'E', code: 410, symbol: 'REVOKED', text: 'by the owner' }))
    const next = await frames(a)
    await next()
    await a.line()
    a.say('220 OK')
  })
  await enter(c)
  const stream = await c.stream('READ FLOW f FORMAT BATCH')
  const seen = []
  for await (const frame of stream) seen.push(frame)
  t.match(seen, [{ type: 'E', code: 410, symbol: 'REVOKED' }])
  t.match(stream.ended, { code: 410 })
  await stream.end()
  t.match(await c.command('NOOP'), { code: 220 })
})

t.test('bad frames, silence and a broken stream end the connection', async t => {
  const open = async (play: (a: Script) => void, opt: object = {}) => {
    const c = await talk(t, async a => {
      await login(a)
      await a.line()
      a.say('220 STREAM')
      play(a)
    })
    await enter(c)
    return { c, stream: await c.stream('READ FLOW f FORMAT BATCH', opt) }
  }
  const huge = await open(a => a.raw(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x44])))
  await t.rejects(huge.stream.next(), { code: 'FNA_ERR_TOO_LARGE' }, 'H31: 4 GiB')
  t.notOk(huge.c.open)
  const rubbish = await open(a => a.raw(Buffer.from([0, 0, 0, 1, 0x7a])))
  await t.rejects(rubbish.stream.next(), { code: 'FNA_ERR_CORRUPT' })
  const silent = await open(() => {}, { idleMs: 30 })
  await t.rejects(silent.stream.next(), { code: 'FNA_ERR_TIMEOUT' })
  const cut = await open(a => a.end())
  await t.rejects(cut.stream.next(), { code: 'FNA_ERR_UNAVAILABLE' })
})

t.test('a consumer of frames that does not read stops the agent', async t => {
  let sent = 0
  let blocked = false
  const frame = encodeFrame({ type: 'D', shard: '0', cursor: '1', batch: Buffer.alloc(60_000) })
  const c = await talk(t, async a => {
    await login(a)
    await a.line()
    a.say('220 STREAM')
    while (sent < 500 && !blocked) {
      sent++
      if (a.socket.write(frame)) continue
      blocked = !(await Promise.race([new Promise(r => a.socket.once('drain', () => r(true))), sleep(300, false)]))
    }
    a.raw(encodeFrame({ type: 'E', code: 220, text: 'OK' }))
  })
  await enter(c)
  const stream = await c.stream('READ FLOW f FORMAT BATCH')
  while (!blocked && sent < 500) await sleep(20)
  t.ok(blocked, `after ${sent} of 500 frames`)
  let got = 0
  for await (const f of stream) if (f.type === 'D') got++
  t.equal(got, sent)
})

t.test('many writers and many streams leave no listeners behind', async t => {
  const warnings: Error[] = []
  const warned = (w: Error) => warnings.push(w)
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const c = await talk(t, async a => {
    await login(a)
    for (let i = 0; i < 30; i++) {
      await a.line()
      a.say('220 STREAM')
      const next = await frames(a)
      while ((await next()).type !== 'E');
      a.raw(encodeFrame({ type: 'E', code: 220, text: 'OK' }))
    }
  })
  await enter(c)
  for (let i = 0; i < 30; i++) {
    const stream = await c.stream('WRITE FLOW f FORMAT BATCH')
    const batch = Buffer.alloc(30_000)
    if (i === 0) await Promise.all(Array.from({ length: 50 }, (_, n) => stream.sendData('0', String(n), batch)))
    await stream.end()
  }
  await new Promise(setImmediate)
  t.same(warnings, [])
})
