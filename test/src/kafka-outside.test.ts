import broker from '@fnaa/broker-kafka'
import { type Kafka, startKafka, unavailable } from '@fnaa/services'
import t from 'tap'
import { type Client, pair } from './support/agents.js'
import { asAdmin } from './support/kafka-admin.js'
import { hasKcat, kcatsKafka, type Outside, reads, writes } from './support/kcat.js'

// Clients of Kafka's that know nothing of us: let in, kept out, cut off with the connection open; and how much they may read.
const skip = unavailable() ?? false
/** As librdkafka and as Java says it. */
const DENIED = /authorization failed|not authorized|authentication/i
const FLOW = 'time.flows.unix.test'
t.setTimeout(200_000)

let kafka: Kafka
let owner: Client
let user: Client
t.before(async () => {
  if (skip) return
  kafka = await startKafka({ ...kcatsKafka, secure: true, settings: { 'quota.window.num': 2 } })
  const plugin = () => broker(asAdmin(kafka))
  const { a, b } = await pair(t, { change: o => ({ ...o, publishEndpoints: true, plugins: [...o.plugins, plugin()] }) })
  owner = await a.login(t)
  user = await b.login(t)
  await owner.ok(`CREATE FLOW ${FLOW} BROKER broker-kafka VISIBILITY public`)
  await owner.write(FLOW, 'before')
})
t.teardown(() => kafka?.stop())

async function access(label: string): Promise<Outside> {
  const { lines } = await owner.ok(`ACCESS FLOW ${FLOW} READ AS ${label}`)
  const value = (key: string) => lines.find(l => l.startsWith(`${key}=`))!.slice(key.length + 1)
  const username = value('user')
  return { user: { username, password: value('password') }, topic: value('topic'), group: username }
}

t.test('kcat: let in to what was granted, kept out of all else, cut off within five seconds', { skip }, async t => {
  const given = await access('app')
  t.comment(hasKcat ? `with kcat, on Kafka ${kafka.version}` : 'with Kafka’s own console tools: there is no kcat')
  const reader = reads(t, kafka, given)
  await reader.says(/before/)
  await owner.write(FLOW, 'while it reads')
  await reader.says(/while it reads/)

  await owner.ok('CREATE FLOW secret.flows.unix.test BROKER broker-kafka')
  const curious = reads(t, kafka, { ...given, topic: 'secret.flows.unix.test' })
  await curious.says(DENIED)
  const writer = writes(t, kafka, given, 'forged')
  await writer.says(DENIED)
  t.same(await owner.read(FLOW, { from: { at: 'earliest' } }), ['before', 'while it reads'])

  const began = performance.now()
  await owner.ok(`REMOVE ACCESS ${FLOW} app`)
  await reader.says(DENIED)
  const took = performance.now() - began
  t.ok(took < 5000, `the open connection was cut in ${Math.round(took)} ms`)
  await owner.write(FLOW, 'after')
  t.notMatch(reader.said, /after/)
  const again = reads(t, kafka, given)
  await again.says(/authentication/i)
})

/** What Kafka's own tool shows of the quotas of a user of ours, looked at until it fits. */
async function quota(of: string, fits: RegExp): Promise<string> {
  for (let tries = 0; ; tries++) {
    const { stdout } = await kafka.tool('kafka-configs', ['--describe', '--entity-type', 'users', '--entity-name', of])
    if (fits.test(stdout) || tries === 5) return stdout
  }
}

t.test('LIMIT in bytes is kept by the cluster, in events by the agent alone', { skip }, async t => {
  const to = 'emiliano.test'
  await owner.ok(`GRANT read,subscribe ON FLOW ${FLOW} TO ${to} LIMIT bytes=500000`)
  const sub = await user.ok(`SUBSCRIBE ${FLOW} LOCAL slow.flows.emiliano.test MODE direct FROM earliest`)
  const id = /[a-z2-7]{26}/.exec(sub.lines[0]!)![0]
  t.match((await owner.ok(`GET SUBSCRIBERS ${FLOW}`)).lines[0], / mode=direct .*limit=/)
  const users = (await kafka.tool('kafka-configs', ['--describe', '--entity-type', 'users'])).stdout
  const name = /'(fnaad-[^']+)' are [^\n]*consumer_byte_rate=500000/.exec(users)?.[1]
  t.ok(name, users)

  await owner.ok(`GRANT read,subscribe ON FLOW ${FLOW} TO ${to} LIMIT bytes=20000`)
  t.match(await quota(name!, /rate=20000/), /consumer_byte_rate=20000/, 'a later GRANT slows the running one')
  await owner.ok(`UPDATE SUBSCRIBER ${FLOW} ${id} LIMIT bytes=10000`)
  t.match(await quota(name!, /rate=10000/), /consumer_byte_rate=10000/, 'and the lower of both holds')
  t.match(await owner.say(`UPDATE SUBSCRIBER ${FLOW} ${id} LIMIT events=1`), { code: 501, symbol: 'NOTSUPPORTED' })
  await user.ok(`UNSUBSCRIBE ${id}`)
  t.notMatch(await quota(name!, /^[^=]*$/), /byte_rate/, 'it goes with the user')

  await owner.ok(`GRANT read,subscribe ON FLOW ${FLOW} TO ${to} LIMIT events=5`)
  const refused = await user.say(`SUBSCRIBE ${FLOW} LOCAL slower.flows.emiliano.test MODE direct`)
  t.match(refused, { code: 501, text: /LIMIT/ })
})
