// FNAP NOOP and DESCRIBE FLOW against a bare coalescing line server, 50 connections, in commands per CPU-second of the server.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { agent, cpu, interleave, root, row, start } from './lib.mjs'

const CONNECTIONS = 50
const SECONDS = Number(process.env.BENCH_SECONDS ?? 2)
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 7)

async function load(pid, port, depth, command, lines, login) {
  const args = [
    join(root, 'bench/line-load.mjs'),
    port,
    CONNECTIONS,
    depth,
    SECONDS,
    command,
    lines,
    ...(login ? ['login'] : []),
  ]
  const child = spawn(process.execPath, args.map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const before = cpu(pid)
  child.stdin.write('go\n')
  const [answered] = await once(child.stdout, 'data')
  const used = cpu(pid) - before
  await once(child, 'exit')
  return Number(answered) / used
}

async function say(port, lines) {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'data')
  for (const line of lines) {
    socket.write(`${line}\r\n`)
    await once(socket, 'data')
  }
  socket.destroy()
}

export async function lines() {
  const bare = await start([join(root, 'bench/line-server.mjs')])
  const fnaad = await agent()
  const flow = 'time.flows.unix.test'
  await say(fnaad.port, ['AUTHENTICATE PLAIN', 'AHRlc3QAdGVzdA==', `CREATE FLOW ${flow}`])
  const rows = []
  for (const [depth, goal] of [
    [1, '>=0.8'],
    [16, '>=0.8'],
    [128, '>=0.8'],
  ]) {
    const m = await interleave(ROUNDS, {
      ours: () => load(fnaad.pid, fnaad.port, depth, 'NOOP', 1, true),
      bare: () => load(bare.pid, Number(bare.first), depth, 'NOOP', 1, false),
    })
    rows.push(row(`NOOP, depth ${depth}`, m.ours, m.bare, goal, 'cmd/CPU-s'))
  }
  const m = await interleave(ROUNDS, {
    ours: () => load(fnaad.pid, fnaad.port, 16, `DESCRIBE FLOW ${flow}`, 6, true),
    bare: () => load(bare.pid, Number(bare.first), 16, `DESCRIBE FLOW ${flow}`, 1, false),
  })
  rows.push(row('DESCRIBE FLOW, depth 16', m.ours, m.bare, '>=0.4', 'cmd/CPU-s'))
  bare.child.kill()
  await fnaad.stop()
  return rows
}
