// Compiles every package (incrementally), copies the .proto files beside their code, and bundles the CLI and the large packages.
import { copyFileSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { bundlePackages } from './bundle.mjs'
import { root, sh } from './setup.mjs'

const bin = name => join(root, 'node_modules', '.bin', name)
for (const file of ['flow_processor.proto', 'health.proto']) {
  mkdirSync(join(root, 'processor-host', 'dist'), { recursive: true })
  copyFileSync(join(root, 'proto', file), join(root, 'processor-host', 'dist', file))
}
sh(bin('tsc'), ['-b'])
await bundlePackages()
const entry = join(root, 'cli', 'dist', 'main.js')
const bundle = join(root, 'cli', 'dist', 'fnua.cjs')
if (existsSync(entry) && (!existsSync(bundle) || statSync(bundle).mtimeMs < newest())) {
  sh(bin('esbuild'), [
    entry,
    '--bundle',
    '--platform=node',
    '--target=node20',
    '--format=cjs',
    // Module by module: what the CLI does not use stays out.
    '--conditions=modules',
    `--outfile=${bundle}`,
    `--alias:@node-rs/crc32=${join(root, 'cli', 'dist', 'crc32c.js')}`,
    '--minify-whitespace',
    '--log-level=warning',
    '--legal-comments=none',
  ])
}

/** The bundle holds protocol, client and cli: it is as old as the newest of their build stamps. */
function newest() {
  const stamps = ['protocol', 'client', 'cli'].map(p => join(root, p, 'dist', '.tsbuildinfo'))
  return Math.max(...stamps.map(s => (existsSync(s) ? statSync(s).mtimeMs : 0)))
}
