import type { DriverHost } from '@fnaa/core/plugin'
import type { Cluster } from '@fnaa/kafka-wire'

/** One topic at one cluster, as a driver has opened it. */
export interface Topic {
  readonly cluster: Cluster
  readonly topic: string
  readonly host: DriverHost
}
