import type { AuthMechanism, AuthStep, Exchange } from '@fnaa/core/plugin'

/** ANONYMOUS (RFC 4505): anyone, for what is public. The trace is a stranger's text and goes nowhere but the log. */
export function anonymousMechanism(): AuthMechanism {
  return {
    name: 'ANONYMOUS',
    needs: [],
    accept(): Exchange {
      let over = false
      return {
        async step(input): Promise<AuthStep> {
          if (over) return { type: 'reject', log: 'the exchange is over' }
          if (input === null) return { type: 'challenge', data: new Uint8Array() }
          over = true
          // 255 characters of at most four bytes.
          if (input.length > 1020) return { type: 'reject', log: 'the trace is too long' }
          return { type: 'accept', identity: { type: 'anonymous', principal: 'anonymous' } }
        },
        abort() {
          over = true
        },
      }
    },
  }
}
