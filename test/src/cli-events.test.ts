import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { folder, single, type TestAgent } from './support/agents.js'
import { configFor, FNUA, fnua, type Ran, startFnua } from './support/fnua.js'

/** Events through fnua: in, out, and round again. */
let agent: TestAgent
let config: string
t.before(async () => {
  agent = await single(t)
  config = await configFor(await folder(t), { port: agent.port, domain: 'unix.test' })
  const owner = await agent.login(t)
  for (const name of ['a', 'b', 'c', 'd', 'e', 'big', 'live']) {
    await owner.ok(`CREATE FLOW ${name}.flows.unix.test VISIBILITY public`)
  }
})
const run = (args: string[], input: string | Uint8Array = ''): Promise<Ran> =>
  fnua(['--config', config, ...args], { input })
const events = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as Record<string, unknown>)

t.test('what is read from one flow and written to another is the same, byte for byte', async t => {
  const written = [
    'plain text',
    '.leading dot',
    '..',
    'üñîçødé \u202e "quoted" \\',
    '{"a":1.10,"b":12345678901234567890}',
    '[1,2]',
    '{"specversion":"1.0","id":"x","source":"/s","type":"t","partitionkey":"k","data":{"n":1.00}}',
    '{"specversion":"1.0","id":"y","source":"/s","type":"t","data_base64":"AAEC/w=="}',
  ]
  t.match(await run(['write', 'a.flows.unix.test', '--key', 'k1'], written.join('\n')), {
    code: 0,
    stdout: '',
    stderr: `wrote ${written.length} events\n`,
  })
  const first = await run(['read', 'a.flows.unix.test', '-o', 'json'])
  t.match(first, { code: 0, stderr: '' })
  t.match(await run(['write', 'b.flows.unix.test'], first.stdout), { code: 0 })
  const second = await run(['read', 'b.flows.unix.test'])
  t.equal(second.stdout, first.stdout, 'every byte of every event')
  t.same(
    events(first.stdout)
      .map(e => e['data'] ?? e['data_base64'])
      .slice(0, 4),
    written.slice(0, 4),
  )
  t.match(first.stdout, /"data":\{"a":1\.10,"b":12345678901234567890\}/, 'digits stay as they were')
  t.equal(events(first.stdout)[0]?.['partitionkey'], 'k1')
})

t.test('in a pipe too, a line is one line to everybody and holds nothing that steers a terminal', async t => {
  const flow = 'hostile.flows.unix.test'
  await (await agent.login(t)).ok(`CREATE FLOW ${flow}`)
  const data = ['\u009b2J', 'a\u0085b\u2028c\u2029d', '\u202eexe.txt', '\u007f']
  await run(['write', flow], data.join('\n'))
  const read = await run(['read', flow])
  t.equal(read.stdout.replace(/[\n\x20-\x7e]/g, ''), '')
  t.same(
    events(read.stdout).map(e => e['data']),
    data,
    'NDJSON with the same values',
  )
  t.match((await run(['read', flow, '-o', 'yaml'])).stdout, /^[\n\x20-\x7e]+$/)
  t.match((await run(['read', flow, '-o', 'table'])).stdout, /^[\n\x20-\x7e]+$/)
  t.match((await run(['read', flow, '-o', 'table'])).stdout, /\\x9b2J/)
})

t.test('lines: CRLF, an empty one, and a last one without its end', async t => {
  t.match(await run(['write', 'c.flows.unix.test'], 'one\r\n\ntwo'), { code: 0, stderr: 'wrote 3 events\n' })
  const read = await run(['read', 'c.flows.unix.test', '--max', '3'])
  t.same(
    events(read.stdout).map(e => e['data']),
    ['one', '', 'two'],
  )
  t.match(await run(['write', 'c.flows.unix.test'], ''), { code: 0, stderr: 'wrote 0 events\n' })
  t.match(await run(['-q', 'write', 'c.flows.unix.test'], 'x\n'), { code: 0, stderr: '' }, '-q says nothing')
  const names = await run(['read', 'c.flows.unix.test', '-o', 'name'])
  t.equal(names.stdout.trim().split('\n').length, 4)
  const yaml = await run(['read', 'c.flows.unix.test', '--max', '1', '-o', 'yaml'])
  t.match(yaml.stdout, /^---\nspecversion: "1\.0"\n/)
})

t.test('more than one WRITE can hold', async t => {
  const line = `${'x'.repeat(1000)}\n`
  const ran = await run(['write', 'big.flows.unix.test'], line.repeat(10_000))
  t.match(ran, { code: 0, stderr: 'wrote 10000 events\n' })
  const read = await run(['read', 'big.flows.unix.test'])
  t.equal(read.stdout.split('\n').length - 1, 10_000, 'all of it comes out of the pipe')
  t.ok(read.stdout.endsWith('}\n'))
})

t.test('`| head -1` ends quietly', async t => {
  const firstOf = async (words: string) => {
    const command = `"$0" "$1" --config "$2" ${words} | head -1; echo "\${PIPESTATUS[0]}"`
    const child = spawn('/bin/bash', ['-c', command, process.execPath, FNUA, config])
    let out = ''
    let err = ''
    child.stdout.on('data', d => (out += d))
    child.stderr.on('data', d => (err += d))
    await once(child, 'close')
    const [line, code] = out.trim().split('\n')
    t.equal(code, '0', words)
    t.equal(err, '', words)
    return line as string
  }
  t.ok(JSON.parse(await firstOf('read big.flows.unix.test')), 'one whole event')
  t.match(await firstOf('--help'), /fnua/)
})

t.test('events go out as they come, and Ctrl-C ends following', async t => {
  const reader = startFnua(t, ['--config', config, 'read', 'live.flows.unix.test', '--follow', '--from', 'earliest'])
  const writer = startFnua(t, ['--config', config, 'write', 'live.flows.unix.test'])
  writer.child.stdin.write('one\n')
  await reader.until(/"data":"one"/)
  writer.child.stdin.write('two\n')
  await reader.until(/"data":"two"/)
  reader.child.kill('SIGINT')
  const read = await reader.done
  t.match(read, { code: 130, signal: null, stderr: '' })
  t.same(
    events(read.stdout).map(e => e['data']),
    ['one', 'two'],
  )
  writer.child.stdin.end('three')
  t.match(await writer.done, { code: 0, stderr: 'wrote 3 events\n' })
  const waiting = startFnua(t, ['--config', config, 'write', 'live.flows.unix.test'])
  waiting.child.stdin.write('four\n')
  const again = startFnua(t, ['--config', config, 'read', 'live.flows.unix.test', '--follow', '--from', 'earliest'])
  await again.until(/"data":"four"/)
  waiting.child.kill('SIGINT')
  t.match(await waiting.done, { code: 130, signal: null, stderr: 'wrote 1 event\n' })
})

t.test('a line that cannot be an event is named, and what went before it is counted', async t => {
  t.match(await run(['write', 'd.flows.unix.test'], 'good\nbad\0\n'), {
    code: 1,
    stderr: /^wrote 0 events\nerror: stdin:2: .*NUL\ntry: /,
  })
  t.match(await run(['write', 'd.flows.unix.test'], Buffer.from([0xff, 0x0a])), { code: 1, stderr: /stdin:1: .*UTF-8/ })
  t.match(await run(['write', 'd.flows.unix.test'], '{"specversion":"1.0"}'), { code: 1, stderr: /\(400 BADEVENT\)/ })
  t.match(await run(['write', 'd.flows.unix.test'], 'x'.repeat(1_048_577)), { code: 1, stderr: /stdin:1: .*1048576/ })
  t.equal((await run(['read', 'd.flows.unix.test'])).stdout, '', 'nothing of a WRITE that failed')
})

t.test('where reading begins, and cursors', async t => {
  await run(['write', 'e.flows.unix.test'], '1\n2\n3\n')
  const data = async (...args: string[]) => {
    const ran = await run(['read', 'e.flows.unix.test', ...args])
    return events(ran.stdout).map(e => e['data'])
  }
  t.same(await data('--from', 'beginning', '--max', '2'), ['1', '2'])
  t.same(await data('--from', '1h'), ['1', '2', '3'], 'an hour ago')
  t.same(await data('--from', 'latest'), [])
  t.same(await data('--from', 'cursor:mine', '--max', '2'), ['1', '2'])
  t.same(await data('--from', 'cursor:mine'), ['3'], 'the agent kept the place')
})

t.test('batches as they are', async t => {
  const read = await run(['read', 'e.flows.unix.test', '--format', 'batch'])
  t.match(read, { code: 0, stderr: '' })
  const frames = events(read.stdout)
  t.ok(frames.some(f => f['type'] === 'D' && typeof f['batch'] === 'string'))
  t.match(await run(['write', 'd.flows.unix.test', '--format', 'batch'], read.stdout), {
    code: 0,
    stderr: /^wrote [1-9]\d* batch(es)?\n$/,
  })
  const copied = events((await run(['read', 'd.flows.unix.test'])).stdout)
  t.same(
    copied.map(e => e['data']),
    ['1', '2', '3'],
  )
})
