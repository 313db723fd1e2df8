import { fork } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findNamespace, type ResolveAny } from '@fnaa/client'
import { isFnapError, parseName } from '@fnaa/protocol'
import t from 'tap'
import { folder } from './support/agents.js'
import { dialogue, LOGIN } from './support/dialogue.js'
import { FNAAD, fnaad } from './support/process.js'
import { Raw } from './support/raw.js'
import { EXAMPLE, gather, logLines, ports, ready, stopped } from './support/thesis.js'

t.test('T1: the agent listens on the port of its config, and logs the address', async t => {
  const data = await folder(t)
  const [port, dns] = (await ports(2)) as [number, number]
  const env = {
    ...process.env,
    THESIS_UNIX_PORT: String(port),
    THESIS_UNIX_DNS: String(dns),
    THESIS_DATA: data,
    THESIS_LOG: 'debug',
  }
  const child = fork(FNAAD, ['--config', join(EXAMPLE, 'fnaad.unix.ar.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  t.teardown(() => stopped(child))
  const text = gather(child)
  await ready(child, text)
  const raw = await Raw.open(t, port)
  t.equal(await raw.line(), '220 fnaa.unix.ar FNAA')
  await raw.say('NOOP')
  const messages = logLines(text())
  t.ok(
    messages.some(l => l['msg'] === 'listening' && String(l['address']).endsWith(`:${port}`)),
    'the address',
  )
  t.equal(messages.filter(l => l['msg'] === 'connection accepted').length, 1, 'T2b: a connection, one event')
})

t.test('T1: without the overrides it is port 61000', async t => {
  for (const file of ['fnaad.unix.ar.ts', 'fnaad_flow.unix.ar.yaml']) {
    t.match(await readFile(join(EXAMPLE, file), 'utf8'), /\b61000\b/, file)
  }
  t.match(await readFile(join(EXAMPLE, 'fnaad.emiliano.ar.ts'), 'utf8'), /\b51000\b/)
})

t.test('T5: --config takes YAML, and the log names the file', async t => {
  const [port, dns, other] = (await ports(3)) as [number, number, number]
  // Beside the original, as the packages that it names are looked for from there.
  const directory = t.testdir({})
  const data = await folder(t)
  const text = (await readFile(join(EXAMPLE, 'fnaad_flow.unix.ar.yaml'), 'utf8'))
    .replaceAll('61000', String(port))
    .replaceAll('5300', String(dns))
    .replaceAll('5301', String(other))
    .replace('../../.fnaad/thesis/unix.ar', join(data, 'unix.ar'))
    .replace('.fnaad/thesis/ca', join(data, 'ca'))
  const config = join(directory, 'fnaad_flow.unix.ar.yaml')
  await writeFile(config, text)
  await fnaad(['--config', config, 'user', 'add', 'test'], 'test\n')
  const child = fork(FNAAD, ['--config', './fnaad_flow.unix.ar.yaml'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  t.teardown(() => stopped(child))
  const log = gather(child)
  await ready(child, log)
  t.match(log(), /using config file/)
  t.ok(
    logLines(log()).some(l => String(l['config']).endsWith('/fnaad_flow.unix.ar.yaml')),
    'the file used',
  )
  const raw = await Raw.open(t, port)
  await raw.line()
  await dialogue(t, raw, [...LOGIN, ['CREATE FLOW time.flow.unix.ar', '220 OK time.flow.unix.ar']])
})

/** T20: URI, namespace, flow name. */
const URIS: readonly (readonly [string, string, string])[] = [
  ['arrivals.flow.airport.com', 'flow.airport.com', 'arrivals'],
  ['airline.arrivals.flow.airport.com', 'flow.airport.com', 'airline.arrivals'],
  ['flow://entrances.building.company.com', 'building.company.com', 'entrances'],
  ['flow://exits.building.company.com', 'building.company.com', 'exits'],
  ['flow://temperature.house.mydomain.com', 'house.mydomain.com', 'temperature'],
  ['flow://pressure.room1.office.mydomain.com', 'office.mydomain.com', 'pressure.room1'],
  ['flow://pressure.room1.office.mydomain.com', 'room1.office.mydomain.com', 'pressure'],
  ['flow://notifications.calendar.people.syndeno.com', 'people.syndeno.com', 'notifications.calendar'],
  ['flow://flowName.flowCategory.myNameSpace.domain.tld', 'mynamespace.domain.tld', 'flowname.flowcategory'],
  ['flow://created.invoice.finance.syndeno.com', 'finance.syndeno.com', 'created.invoice'],
  ['time.flows.unix.ar', 'flows.unix.ar', 'time'],
  ['ksdj898.time.flows.unix.ar', 'flows.unix.ar', 'ksdj898.time'],
]

t.test('T20: flow URIs, their namespaces and names: only DNS can say where a name divides', async t => {
  for (const [uri, namespace, name] of URIS) {
    const domain = namespace.split('.').slice(-2).join('.')
    const resolve = (async (asked: string, type: string) => {
      const records =
        type === 'TXT' && asked === `_fnap.${namespace}`
          ? [{ name: asked, ttl: 300, type, strings: [`v=FNAP1; d=${domain}`] }]
          : type === 'SOA' && asked === domain
            ? [{ name: asked, ttl: 300, type, minimum: 60 }]
            : []
      return { records, status: 'secure', ttl: 300 }
    }) as unknown as ResolveAny
    const flow = parseName(uri)
    const found = await findNamespace(resolve, flow, { signal: AbortSignal.timeout(1000) })
    t.equal(found.namespace, namespace, uri)
    t.equal(flow.slice(0, -namespace.length - 1), name, uri)
  }
  try {
    parseName('stream:myeventflow')
    t.fail('not the scheme')
  } catch (e) {
    t.ok(isFnapError(e) && e.symbol === 'BADNAME', 'stream:myeventflow is rejected')
  }
})
