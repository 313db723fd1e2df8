import { brokerDriverSuite, type Test } from '@fnaa/conformance'
import { test } from 'tap'
import { isolated, oneCluster, plain, reaching, secure } from './cluster.test.helper.js'

const cluster = await oneCluster({ secure: true })
if (cluster) {
  for (const [title, options] of Object.entries({ plain: plain(cluster), SASL_SSL: secure(cluster) })) {
    const named: Test = (name, fn) => test(`${title}: ${name}`, fn as never)
    brokerDriverSuite({ test: named, factory: () => isolated(options), driver: reaching, limit: 30_000 })
  }
}
