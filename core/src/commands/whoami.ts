import type { Handler } from './command.js'

export const whoami: Handler = {
  id: 'WHOAMI',
  run: cx => `220 OK ${cx.session.identity?.principal ?? 'anonymous'}`,
}
