import { once } from 'node:events'
import { connect } from 'node:net'
import { type Exchange, FnapConnection, type ReplyError } from '@fnaa/client'
import { MemoryKeyValue, testContext } from '@fnaa/conformance'
import { fingerprintOf, parseKeyRecord } from '@fnaa/protocol'
import type { Teardown, TestAgent } from './agents.js'
import { DOMAIN, type Internet, type Side } from './internet.js'

const { default: domainkey } = (await import(`${'@fnaa/auth-domainkey'}`)) as typeof import('@fnaa/auth-domainkey')
const soon = () => ({ signal: AbortSignal.timeout(10_000) })

/**
 * Somebody who claims a domain by a key of his own, and what our agent says to that.
 * @param state where the keys are; a copy of another's is that one's keys, stolen
 */
export async function claimant(
  t: Teardown,
  net: Internet,
  at: TestAgent,
  side: Side,
  selector: string,
  state = new MemoryKeyValue(),
) {
  const ctx = Object.assign(testContext([DOMAIN[side]], state), { resolve: at.kernel.resolve })
  const service = await domainkey({ selector }).setup(ctx)
  t.teardown(() => service.close())
  const texts = async () =>
    (await service.records(soon())).map(set => ({
      owner: set.owner,
      text: set.records.flatMap(r => (r.type === 'TXT' ? r.strings : [])).join(''),
    }))
  const [first] = await texts()
  const publish = async () => {
    for (const { owner, text } of await texts())
      net.write(side, `update delete ${owner}. TXT`, `update add ${owner}. 60 TXT "${text}"`)
  }
  /** @returns what came of it: `ok`, or the symbol */
  const login = async (spoil: (signature: Uint8Array) => Uint8Array = s => s): Promise<string> => {
    const socket = connect(at.port, '127.0.0.1')
    await once(socket, 'connect')
    const c = await FnapConnection.connect(socket)
    t.teardown(() => c.destroy())
    await c.starttls({ servername: at.where.domain, certificate: 'recorded', alpn: 'required' })
    await c.capabilities()
    const names = { self: DOMAIN[side], target: at.where.domain }
    const honest = service.mechanisms[0]!.initiate!(c.peerInfo() as never, names)
    const exchange: Exchange = {
      abort: () => honest.abort(),
      step: async (input, call) => {
        const step = await honest.step(input, call)
        return step.type === 'accept' ? { ...step, data: spoil(step.data!) } : step
      },
    }
    return c.authenticate('DOMAINKEY-ED25519', exchange).then(
      () => 'ok',
      e => (e as ReplyError).reply?.symbol ?? String(e),
    )
  }
  /** What he types: `fnaad key rotate`. */
  const operate = (name: string, ...args: string[]) => service.admin.find(a => a.name === name)!.run(args, {}, soon())
  /** His keys, for whoever takes them. */
  const copy = (): MemoryKeyValue => {
    const stolen = new MemoryKeyValue()
    for (const [key, entry] of state.entries) stolen.entries.set(key, entry)
    return stolen
  }
  const fingerprint = fingerprintOf(parseKeyRecord([[first!.text]])!.key!)
  return { publish, login, operate, copy, turn: (ms: number) => ctx.turn(ms), selector, fingerprint }
}
