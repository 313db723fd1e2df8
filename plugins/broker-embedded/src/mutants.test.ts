import { brokerMutants, brokerSuite, hunt } from '@fnaa/conformance'
import t from 'tap'
import { embedded } from './index.js'

// The test of the suite: it must notice every broken broker.
const found = hunt(brokerMutants, ({ make }, test) => {
  // Each case has a plugin of its own; what a mutant remembers must not outlive it.
  let current = make()
  const factory = () => {
    current = make()
    return current.plugin(embedded())
  }
  brokerSuite({ test, factory, driver: good => current.driver(good), limit: 2000 })
})

for (const [{ name }, outcome] of found) {
  t.test(`the suite notices: ${name}`, async t => {
    const { failed } = await outcome
    t.not(failed.length, 0, `caught by: ${failed[0]?.name ?? 'nothing'}`)
  })
}
