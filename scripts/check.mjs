// `npm run check`: formatter and linter, types, and the import rules of the house.
import { join } from 'node:path'
import { checkNode, install, root, sh } from './setup.mjs'

checkNode()
install()
sh(join(root, 'node_modules', '.bin', 'biome'), ['check', '.'], { title: 'lint and format' })
sh(process.execPath, [join(root, 'scripts', 'build.mjs')], { title: 'types' })
sh(process.execPath, [join(root, 'scripts', 'imports.mjs')], { title: 'import rules' })
