import t from 'tap'
import { normalise } from './argv.js'
import { NO_CONFIG, parseConfig } from './config-file.js'
import { EXIT } from './errors.js'
import { parseHostPort, selectAgent } from './select-agent.js'
import { settingsOf } from './settings.js'

t.test('flags go before variables, variables before the config', async t => {
  const config = { ...NO_CONFIG, agent: 'c', nameserver: '10.0.0.3', output: 'yaml' }
  t.match(settingsOf({}, {}, config), { agent: 'c', nameserver: '10.0.0.3', output: 'yaml', nameserverGiven: false })
  const env = { FNUA_AGENT: 'b', FNUA_NAMESERVER: '10.0.0.2', FNUA_OUTPUT: 'name', FNUA_PASSWORD: 'p' }
  t.match(settingsOf({}, env, config), { agent: 'b', nameserver: '10.0.0.2', output: 'name', password: 'p' })
  const flags = { agent: 'a', nameserver: '10.0.0.1', output: 'json' }
  t.match(settingsOf(flags, env, config), { agent: 'a', nameserver: '10.0.0.1', output: 'json', nameserverGiven: true })
  t.match(settingsOf({}, { FNUA_AGENT: '' }, config), { agent: 'c' }, 'an empty variable is none')
})

t.test('switches', async t => {
  t.match(settingsOf({}, { FNUA_DEBUG: '1' }, NO_CONFIG), { debug: true, quiet: false, color: true })
  t.match(settingsOf({ color: false, quiet: true }, {}, NO_CONFIG), { color: false, quiet: true })
  t.match(settingsOf({}, { NO_COLOR: '1' }, NO_CONFIG), { color: false })
  t.throws(() => settingsOf({}, { FNUA_OUTPUT: 'xml' }, NO_CONFIG), { exit: EXIT.usage, message: /./ })
})

t.test("the thesis's single dash, and watch", async t => {
  t.same(normalise(['-nameserver', '1.2.3.4']), ['--nameserver', '1.2.3.4'])
  t.same(normalise(['-nameserver=1.2.3.4']), ['--nameserver=1.2.3.4'])
  t.same(normalise(['--config', 'x', 'watch', 'get', 'flows']), ['--config', 'x', 'get', 'flows', '--watch'])
  t.same(normalise(['watch']), ['watch'])
  t.same(normalise(['--agent', 'watch', 'get', 'flows']), ['--agent', 'watch', 'get', 'flows'])
})

const TWO = `agents:
  - { name: one, fqdn: fnaa.unix.ar }
  - { name: two, fqdn: fnaa.emiliano.ar }
namespaces:
  - { name: flows.unix.ar, agent: one }
  - { name: deep.flows.unix.ar, agent: two }
`

t.test('which agent', async t => {
  const two = await parseConfig(TWO, '/x/f.yml')
  const pick = (flags: object, name?: string, discover = true, config = two) => {
    const settings = settingsOf(flags as Record<string, unknown>, {}, config)
    const found = selectAgent(settings, config, name === undefined ? { discover: false } : { name, discover })
    return found.how === 'entry' ? found.entry.name : found
  }
  t.equal(pick({ agent: 'two' }, 'time.flows.unix.ar'), 'two', '--agent goes before all')
  t.equal(pick({ agent: 'FNAA.emiliano.ar' }, 'time.flows.unix.ar'), 'two', 'by its own name')
  t.equal(pick({}, 'time.flows.unix.ar'), 'one', 'the namespace of the flow')
  t.equal(pick({}, 'time.deep.flows.unix.ar'), 'two', 'the longest namespace')
  t.equal(pick({}, 'time.flow.unix.ar'), 'one', "the agent's own domain")
  t.same(pick({}, 'time.flows.other.ar'), { how: 'discover', name: 'time.flows.other.ar' })
  t.same(pick({ agent: 'fnaa.other.ar:61001' }), { how: 'host', host: 'fnaa.other.ar', port: 61001 })
  t.throws(() => pick({ agent: 'three' }), { exit: EXIT.usage, message: /known: one, two/ })
  t.throws(() => pick({}), { exit: EXIT.usage, message: /several agents .*: one, two/ })
  t.throws(
    () => pick({}, 'time.flows.other.ar', false),
    { exit: EXIT.usage, message: /./ },
    'a subscriber needs an agent of his own',
  )
  const preferring = await parseConfig(`agent: two\n${TWO}`, '/x/f.yml')
  t.equal(pick({}, undefined, true, preferring), 'two', 'agent: of the config')
  t.equal(pick({}, 'time.flows.unix.ar', true, preferring), 'one', 'the namespace goes before it')
  const one = await parseConfig('agents:\n  - { name: only, fqdn: fnaa.unix.ar }\n', '/x/f.yml')
  t.equal(pick({}, 'time.flows.other.ar', true, one), 'only')
  t.throws(() => pick({}, undefined, true, NO_CONFIG as never), { exit: EXIT.usage, message: /no agent is known/ })
})

t.test('host and port', async t => {
  t.same(parseHostPort('127.0.0.1:5300'), { host: '127.0.0.1', port: 5300 })
  t.same(parseHostPort('[::1]:53'), { host: '::1', port: 53 })
  t.same(parseHostPort('::1'), { host: '::1' })
  t.same(parseHostPort('Fnaa.Unix.AR.'), { host: 'fnaa.unix.ar' })
  for (const bad of ['', 'a:b', 'a:70000', '[::1', 'x:0'])
    t.throws(() => parseHostPort(bad), { exit: EXIT.usage, message: /./ }, bad)
})
