import { defineConfig } from '@fnaa/core'
import { participant, port } from './participant.js'

// The thesis's second participant: fnaa.emiliano.ar on port 51000. In use case 4 its user subscribes to the first one's flow.
export default defineConfig(
  participant({
    domain: 'emiliano.ar',
    port: port('THESIS_EMILIANO_PORT', 51000),
    dnsPort: port('THESIS_EMILIANO_DNS', 5301),
    namespaces: ['flow.emiliano.ar', 'flows.emiliano.ar'],
    neighbour: { domain: 'unix.ar', dnsPort: port('THESIS_UNIX_DNS', 5300) },
  }),
)
