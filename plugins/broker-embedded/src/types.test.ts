import { defineConfig } from '@fnaa/core'
import t from 'tap'
import { embedded } from './index.js'

t.test('a misspelt or mistyped option is a compile error', async t => {
  embedded({ retentionMs: 1000 }, { id: 'second' })
  // @ts-expect-error an option that there is not
  embedded({ retentionMz: 1000 })
  // @ts-expect-error another type
  embedded({ retentionMs: 'a week' })
  defineConfig({
    host: 'a.b',
    domains: ['a.b'],
    listen: [],
    data: 'x',
    plugins: [embedded(), false, null, [embedded()]],
  })
  // @ts-expect-error an option of the kernel that there is not
  defineConfig({ host: 'a.b', domains: ['a.b'], listen: [], data: 'x', plugins: [], namespces: [] })
  t.equal(embedded({}, { id: 'second' }).id, 'second')
  t.equal(embedded().id, 'broker-embedded')
})
