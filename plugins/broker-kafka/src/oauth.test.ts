import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { call, fails, harness } from '@fnaa/conformance'
import { type BrokerService, operatorsDial } from '@fnaa/core/plugin'
import { Cluster } from '@fnaa/kafka-wire'
import { batchOf, encodeBatch } from '@fnaa/protocol'
import t, { test } from 'tap'
import { isolated, oneCluster, reaching } from './cluster.test.helper.js'

// OAUTHBEARER with signed tokens, whose keys the broker fetches from here: the service (kafkajs and our wire), and the driver.
const AUDIENCE = 'kafka'
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const keys = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }] }
const server = createServer((_q, a) => a.setHeader('content-type', 'application/json').end(JSON.stringify(keys)))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
t.teardown(() => server.close())
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

function token(seconds: number, other: object = {}): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, sub: 'fnaad', aud: AUDIENCE, iat: now, exp: now + seconds, scope: 'all', ...other }
  const part = (x: object) => Buffer.from(JSON.stringify(x)).toString('base64url')
  const head = `${part({ alg: 'ES256', typ: 'JWT', kid: 'k1' })}.${part(claims)}`
  return `${head}.${sign('sha256', Buffer.from(head), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

const tokens = { keys: `${issuer}/jwks`, issuer, audience: AUDIENCE, admin: 'fnaad' }
const cluster = await oneCluster({ secure: true, tokens })
const c = call()

if (cluster) {
  const options = (get: () => string) => ({
    servers: cluster.secureServers,
    tls: { ca: cluster.ca },
    sasl: { mechanism: 'oauthbearer', token: get } as const,
    data: { mechanism: 'scram-sha-256', ...cluster.admin! } as const,
  })

  test('the service makes topics and users by a token, the driver writes and reads by one', async t => {
    let asked = 0
    const get = () => token(60, { jti: String(++asked) })
    const h = await harness(isolated(options(get)), { driver: reaching })
    t.teardown(() => h.close())
    const service = h.service as BrokerService
    const q = service.queueFor('f.unix.test')
    t.equal(await service.createQueue(q, { shards: 2 }, c), 'created')
    t.match(await service.describeQueue(q, c), { shards: 2 })
    t.ok(asked >= 2, 'each client has asked for a token of its own')
    const given = await service.grant({ id: 'app', queue: q, rights: ['read'] }, c)
    t.equal(given.credential!.mechanism, 'SCRAM-SHA-256', 'users are issued by SCRAM all the same')

    const { endpoint } = service.internal(q)
    const host = { log: h.ctx.log, dial: h.ctx.dial, foreign: false }
    const open = (values: string) =>
      h.driver!.open(endpoint, { mechanism: 'OAUTHBEARER', values: { token: values } }, host, c)
    const wire = await open(token(60))
    const event = { key: null, value: Buffer.from('by token'), headers: [], timestamp: Date.now() }
    const sink = await wire.sink({ writer: 'w', epoch: 1 }, c)
    await sink.write(batchOf({ shard: '0', last: '', bytes: encodeBatch([event]) }), {}, c)
    const source = await wire.source({ reader: 'r', epoch: 1, from: { at: 'earliest' } }, c)
    for await (const b of source.read(c)) {
      t.equal('count' in b && b.count, 1)
      break
    }
    await wire.close()

    await fails('FNA_ERR_DENIED', open(token(-60)))
    await fails('FNA_ERR_DENIED', open(token(60, { aud: 'others' })))
    await fails('FNA_ERR_DENIED', open(`${token(60).slice(0, -8)}AAAAAAAA`))
    await fails('FNA_ERR_INVALID', open('no token\r\n'))
    const stranger = await open(token(60, { sub: 'nobody' })).catch(e => e as Error)
    t.match(stranger, { message: /TOPIC_AUTHORIZATION_FAILED|UNKNOWN_TOPIC/ }, 'who has a token has not yet a right')
  })

  test('a token that the cluster does not take stops the boot, and says which option', async t => {
    const boot = harness(isolated(options(() => token(60, { iss: 'http://other' }))))
    await t.rejects(boot, { code: 'FNA_ERR_CONFIG', message: /sasl is refused by the cluster/ })
  })

  test('a session outlives its token: it logs in again with a new one', async t => {
    let asked = 0
    const sasl = { mechanism: 'OAUTHBEARER', token: async () => token(2, { jti: String(++asked) }) } as const
    const k = new Cluster({ servers: cluster.secureServers, dial: operatorsDial, tls: { ca: cluster.ca }, sasl })
    t.teardown(() => k.close())
    const connection = await k.any(c)
    const until = Date.now() + 4000
    while (Date.now() < until) {
      await k.metadata([], c)
      await new Promise(resolve => setTimeout(resolve, 200))
    }
    t.equal(await k.any(c), connection, 'on the same connection')
    t.ok(asked >= 2, `${asked} tokens`)
  })
}
