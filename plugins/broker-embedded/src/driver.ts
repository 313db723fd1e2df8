import { type Driver, FnaError } from '@fnaa/core/plugin'
import { canonical, registry } from './registry.js'

/**
 * The data face. The log is open in the agent's process and nowhere else, so this works there only; every other process
 * reads and writes through the agent, with the driver of type `fnap`.
 */
const driver: Driver = {
  async open(endpoint, _credential, host) {
    if (endpoint.type !== 'embedded')
      throw new FnaError('FNA_ERR_INVALID', `this driver opens endpoints of type embedded, not ${endpoint.type}`)
    // Whoever hands us an endpoint of this type names a directory on this machine: nobody else may.
    if (host.foreign) throw new FnaError('FNA_ERR_DENIED', 'an embedded log cannot be named from outside')
    const directory = (endpoint.options as { directory?: unknown } | undefined)?.directory
    if (typeof directory !== 'string') throw new FnaError('FNA_ERR_INVALID', 'the endpoint names no directory')
    const broker = registry.get(canonical(directory))
    if (!broker)
      throw new FnaError(
        'FNA_ERR_UNSUPPORTED',
        `the embedded broker in ${directory} is not open in this process: only its agent can open it, others go through fnap`,
      )
    return broker.wire(endpoint.queue)
  },
}
export default driver
