// `npm run service -- kafka [--nodes 3] [--secure] [--version 3.9.1]`: a service of the tests, in the foreground until Ctrl-C.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, setup } from './setup.mjs'

setup()
const { main } = await import(pathToFileURL(join(root, 'services', 'dist', 'main.js')).href)
process.exitCode = await main(process.argv.slice(2))
