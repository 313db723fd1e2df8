import { typed } from '@fnaa/client'

/** The operator's command line is wrong: exit code 2, and no stack. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** How `fnaad` is typed here. */
export const fnaad = (): string => typed('fnaad', { env: process.env, cwd: process.cwd() })
/** How `fnua` is typed here. */
export const fnua = (): string => typed('fnua', { env: process.env, cwd: process.cwd() })
/** How `fnaad dev` was started: `npm start` says that it did. */
export const fnaadDev = (): string => process.env['FNAAD_STARTED_AS'] ?? `${fnaad()} dev`
