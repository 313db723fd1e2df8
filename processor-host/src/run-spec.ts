import type { Credential, Run } from '@fnaa/core/plugin'

/** A run with its secrets: what crosses the socket. */
export interface RunSpec {
  readonly run: Run
  readonly secrets: Readonly<Record<string, Credential>>
}
