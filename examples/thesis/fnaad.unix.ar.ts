import { defineConfig } from '@fnaa/core'
import { participant, port } from './participant.js'

// The thesis's first participant: fnaa.unix.ar on port 61000. Its use cases 1 to 3 create flows here.
export default defineConfig(
  participant({
    domain: 'unix.ar',
    port: port('THESIS_UNIX_PORT', 61000),
    dnsPort: port('THESIS_UNIX_DNS', 5300),
    namespaces: ['flow.unix.ar', 'flows.unix.ar'],
    neighbour: { domain: 'emiliano.ar', dnsPort: port('THESIS_EMILIANO_DNS', 5301) },
  }),
)
