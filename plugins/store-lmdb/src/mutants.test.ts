import { collector, storeMutants, storeSuite } from '@fnaa/conformance'
import t from 'tap'
import { storeLmdb } from './index.js'

// The test of the suite: it must notice every broken store.
for (const { name, plugin } of storeMutants) {
  t.test(`the suite notices: ${name}`, async t => {
    const { test, run } = collector()
    storeSuite({ test, factory: () => plugin(storeLmdb()), limit: 1000 })
    const { failed } = await run({ stopAtFirst: true })
    t.not(failed.length, 0, `caught by: ${failed[0]?.name ?? 'nothing'}`)
  })
}
