import t from 'tap'
import type { Kernel } from '../kernel.js'
import { Subscriptions } from './subscriptions.js'

t.test('a provider that calls every wish too old is asked less and less often', async t => {
  let now = 1_800_000_000_000
  const clock = { now: () => now }
  const s = new Subscriptions({ clock } as unknown as Kernel)
  t.equal(s.mayRaise('a'), true, 'the first time at once')
  t.equal(s.mayRaise('a'), false)
  t.equal(s.mayRaise('b'), true, 'another subscription is another matter')
  let raised = 0
  for (const end = now + 3_600_000; now < end; now += 250) if (s.mayRaise('a')) raised++
  t.equal(raised, 9 + 6, 'after 1, 2, 4 … 256 s, then each 512 s')
  s.answered('a')
  t.equal(s.mayRaise('a'), true, 'an answer of another kind ends the row')
})
