import t from 'tap'
import { examine, lost } from './support/kafka-load.js'

const lines = (...numbers: readonly number[]) => numbers.map(n => `Partition:0\tk0\t${n}\n`).join('')
const ledger = [3, ...Array.from({ length: 15 }, () => 0)]

t.test('the judge of the kill tests sees what is wrong', async t => {
  const cases: readonly (readonly [string, readonly number[], object])[] = [
    ['all there', [0, 1, 2], { lost: 0, wrong: 0, duplicates: 0 }],
    ['more than was acknowledged', [0, 1, 2, 3], { lost: 0, wrong: 0, duplicates: 0 }],
    ['repeated in order', [0, 1, 0, 1, 2], { lost: 0, wrong: 0, duplicates: 2 }],
    ['the end is lost', [0, 1], { lost: 1, wrong: 0, duplicates: 0 }],
    ['the middle is lost', [0, 2], { lost: 1, wrong: 1, duplicates: 0 }],
    ['two change places', [0, 2, 1], { lost: 0, wrong: 1, duplicates: 0 }],
    ['nothing came', [], { lost: 3, wrong: 0, duplicates: 0 }],
  ]
  for (const [name, numbers, expected] of cases) {
    const seen = examine(lines(...numbers))
    t.same({ lost: lost(ledger, seen), wrong: seen.wrong.length, duplicates: seen.duplicates }, expected, name)
  }
})
