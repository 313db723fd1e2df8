import { brokerDriverSuite, brokerServiceSuite, type Test } from '@fnaa/conformance'
import { test } from 'tap'
import { isolated, oneCluster, plain, reaching, secure } from './cluster.test.helper.js'

// The suites on the last Kafka 3. `FNAAD_KAFKA=3.9.1 npm test` runs all tests on it.
const cluster = await oneCluster({ secure: true, version: '3.9.1' })
if (cluster) {
  const named =
    (title: string): Test =>
    (name, fn) =>
      test(`3.9, ${title}: ${name}`, fn as never)
  const common = { driver: reaching, limit: 30_000 }
  brokerServiceSuite({ test: named('service'), factory: () => isolated(secure(cluster)), ...common })
  brokerDriverSuite({ test: named('driver'), factory: () => isolated(plain(cluster)), ...common })
}
