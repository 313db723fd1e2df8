import { fnapError } from '@fnaa/protocol'
import type { Mine } from '../federation/subscriptions.js'
import type { Result } from '../server/session.js'
import { type Context, ending, type Handler, patience, timeout, type Words } from './command.js'
import { feeding, one } from './mine.js'

type Desired = 'run' | 'pause' | 'stop'

async function steer(cx: Context, s: Mine, desired: Desired, answer: string): Promise<Result> {
  await cx.kernel.subscriptions.desire(s, desired, ending(cx))
  const outcome = await cx.kernel.subscriptions.settled(s.name, patience(cx))
  if (!outcome) throw timeout(s.name)
  if (outcome.phase === 'over') throw outcome.error
  return `220 OK ${answer}`
}

/** PAUSE keeps processor and position; STOP tears the processor down and tells the provider; RESUME brings either back. */
const handlers = (verb: string, desired: Desired): Handler[] => [
  {
    id: `${verb} SUBSCRIPTION`,
    run: (cx, command) => {
      const id = (command.args as Words)['id'] as string
      const gen = (command.options as Words)['gen'] as number | undefined
      if (gen !== undefined) return byAgent(cx, id, desired, gen)
      return steer(cx, one(cx, id), desired, id)
    },
  },
  {
    id: `${verb} FLOW`,
    run: (cx, command) => {
      const local = (command.args as Words)['local'] as string
      return steer(cx, feeding(cx, local), desired, local)
    },
  },
]

/** STOP and RESUME between agents. RESUME is the wish again: what was agreed holds, under a higher GEN. */
async function byAgent(cx: Context, id: string, desired: Desired, generation: number): Promise<Result> {
  const who = cx.session.identity
  if (who?.type !== 'domain') throw fnapError('DENIED', 'GEN is for agents only')
  const { provider, resources } = cx.kernel
  if (desired === 'stop') await provider.stop({ peer: who.principal, id, generation }, patience(cx))
  else {
    const s = resources.get('Subscriber', id)
    if (!s || s.spec.peer !== who.principal) throw fnapError('NOTFOUND', 'there is no such subscription of your domain')
    const { flow, direction, from, mode } = s.spec
    await provider.agree(
      {
        flow,
        direction,
        id,
        generation,
        peer: who.principal,
        for: s.spec.for,
        from,
        mode,
        accept: ['fnap', ...(s.status.endpoint ? [s.status.endpoint.type] : [])],
        rotate: false,
      },
      patience(cx),
    )
  }
  return `220 OK ${id}`
}

export const steering: Handler[] = [
  ...handlers('PAUSE', 'pause'),
  ...handlers('RESUME', 'run'),
  ...handlers('STOP', 'stop'),
]
