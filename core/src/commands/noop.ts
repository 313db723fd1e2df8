import type { Handler } from './command.js'

export const noop: Handler = { id: 'NOOP', run: () => '220 OK' }
