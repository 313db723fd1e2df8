import { call, harness } from '@fnaa/conformance'
import type { BrokerService } from '@fnaa/core/plugin'
import { freePort, startKafka } from '@fnaa/services'
import { test } from 'tap'
import { isolated, oneCluster, plain, secure } from '../cluster.test.helper.js'
import type { KafkaOptions } from '../index.js'

const cluster = await oneCluster({ secure: true })
const c = call()

async function started(t: { teardown(fn: () => unknown): void }, options: KafkaOptions) {
  const h = await harness(isolated(options))
  t.teardown(() => h.close())
  return { service: h.service as BrokerService, logged: h.logged }
}

if (cluster) {
  const good = secure(cluster)
  const login = { ...cluster.admin!, mechanism: 'scram-sha-256' } as const
  const wrong: Readonly<Record<string, readonly [KafkaOptions, RegExp]>> = {
    'a wrong password': [
      { ...good, sasl: { ...login, password: 'wrong' } },
      /sasl .*SASL_AUTHENTICATION_FAILED; see sasl/,
    ],
    'a mechanism that is not offered': [
      { ...good, sasl: { ...login, mechanism: 'plain' } },
      /sasl\.mechanism .*SCRAM-SHA-256/,
    ],
    'a CA that is not trusted': [{ ...good, tls: true }, /tls .*not trusted; name it by tls\.ca/],
    'a variable that is not set': [{ ...good, sasl: { ...login, password: { env: 'FNAAD_NONE' } } }, /FNAAD_NONE/],
    'a file that is not there': [{ ...good, tls: { caFile: '/none.pem' } }, /tls\.caFile .*ENOENT/],
    'a token without a user for data': [
      { ...good, sasl: { mechanism: 'oauthbearer', token: () => 't' } },
      /data is missing/,
    ],
  }
  for (const [name, [options, message]] of Object.entries(wrong))
    test(`${name} stops the start, by the option's name`, async t => {
      await t.rejects(started(t, options), { code: 'FNA_ERR_CONFIG', message })
    })

  test('a login that one broker refuses is tried at another: it may have been started a moment ago', async t => {
    const other = await startKafka({ secure: true })
    t.teardown(() => other.stop())
    // Two clusters, of which each refuses the other's users, stand in for two brokers of one.
    for (const [first, second] of [
      [cluster, other],
      [other, cluster],
    ] as const) {
      const servers = [...first.secureServers, ...second.secureServers]
      const tls = { ca: `${first.ca}${second.ca}` }
      const { service } = await started(t, { servers, tls, sasl: { ...login, ...second.admin! } })
      t.match(await service.health(c), { ok: true })
    }
  })

  test('where nobody answers the agent starts, and every call says so', async t => {
    const { service, logged } = await started(t, { servers: [`127.0.0.1:${await freePort()}`] })
    t.match(logged, [{ msg: /no broker of the cluster answers yet: are servers right/ }])
    t.match(await service.health(c), { ok: false, detail: /nobody listens/ })
    t.equal(service.access!(), undefined, 'nobody has said yet whom it lets in')
    await t.rejects(service.describeQueue('q', c), { code: 'FNA_ERR_UNAVAILABLE' })
  })

  test('a listener that wants TLS or a login is a hint, not a riddle', async t => {
    const { logged } = await started(t, { servers: cluster.secureServers })
    t.match(logged, [{ msg: /does the listener want tls or sasl/ }])
    const other = await started(t, { ...plain(cluster), tls: true })
    t.match(other.logged, [{ error: /is it a TLS listener/ }])
  })

  test('what the cluster refuses of a topic names what to change', async t => {
    const { service } = await started(t, { ...plain(cluster), replication: 3 })
    const create = (spec = {}) => service.createQueue(service.queueFor('f.unix.test'), spec, c)
    await t.rejects(create(), { code: 'FNA_ERR_INVALID', message: /set replication to no more/ })
    const one = await started(t, plain(cluster))
    await one.service.createQueue('meets_another', {}, c)
    const meets = one.service.createQueue('meets.another', {}, c)
    await t.rejects(meets, { code: 'FNA_ERR_INVALID', message: /dot or an underscore/ })
  })
}
