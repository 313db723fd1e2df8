import { brokerMutants, brokerSuite, collector } from '@fnaa/conformance'
import t from 'tap'
import { embedded } from './index.js'

// The test of the suite: it must notice every broken broker.
for (const { name, make } of brokerMutants) {
  t.test(`the suite notices: ${name}`, async t => {
    const { test, run } = collector()
    // Each case has a plugin of its own; what a mutant remembers must not outlive it.
    let current = make()
    const factory = () => {
      current = make()
      return current.plugin(embedded())
    }
    brokerSuite({ test, factory, driver: good => current.driver(good), limit: 1000 })
    const { failed } = await run({ stopAtFirst: true })
    t.not(failed.length, 0, `caught by: ${failed[0]?.name ?? 'nothing'}`)
  })
}
