// Compiles every package (incrementally), copies the .proto files beside their code, and bundles the CLI and the large packages.
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { bundleAll } from './bundle.mjs'
import { root, sh } from './setup.mjs'

const bin = name => join(root, 'node_modules', '.bin', name)
for (const file of ['flow_processor.proto', 'health.proto']) {
  mkdirSync(join(root, 'processor-host', 'dist'), { recursive: true })
  copyFileSync(join(root, 'proto', file), join(root, 'processor-host', 'dist', file))
}
sh(bin('tsc'), ['-b'])
await bundleAll()
