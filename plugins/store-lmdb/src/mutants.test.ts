import { hunt, storeMutants, storeSuite } from '@fnaa/conformance'
import t from 'tap'
import { storeLmdb } from './index.js'

// The test of the suite: it must notice every broken store.
const found = hunt(storeMutants, ({ plugin }, test) =>
  storeSuite({ test, factory: () => plugin(storeLmdb()), limit: 2000 }),
)

for (const [{ name }, outcome] of found) {
  t.test(`the suite notices: ${name}`, async t => {
    const { failed } = await outcome
    t.not(failed.length, 0, `caught by: ${failed[0]?.name ?? 'nothing'}`)
  })
}
