// Packages of many modules are loaded as one file each: Node takes half a millisecond and more to find and link a module, and an
// agent has some 350. What an `exports` names in dist/bundle is made here of the module of the same name in dist.
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build } from 'esbuild'
import { root } from './setup.mjs'

/** Bundles the packages that want it, where one of their modules has changed. */
export async function bundlePackages() {
  await Promise.all(packages().map(bundle))
}

function packages() {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return workspaces.flatMap(w =>
    w.endsWith('/*')
      ? readdirSync(join(root, w.slice(0, -2))).map(name => join(root, w.slice(0, -2), name))
      : [join(root, w)],
  )
}

async function bundle(directory) {
  const file = join(directory, 'package.json')
  if (!existsSync(file)) return
  const { exports = {}, bin = {} } = JSON.parse(readFileSync(file, 'utf8'))
  const wanted = Object.values(exports)
    .map(e => e.default ?? '')
    .filter(path => path.startsWith('./dist/bundle/'))
    .map(path => path.slice('./dist/bundle/'.length, -'.js'.length))
  if (wanted.length === 0) return
  const dist = join(directory, 'dist')
  const out = join(dist, 'bundle')
  const made = join(out, `${wanted[0]}.js`)
  if (existsSync(made) && statSync(made).mtimeMs >= statSync(join(dist, '.tsbuildinfo')).mtimeMs) return
  const programs = Object.values(bin).map(path => path.replace(/\.js$/, ''))
  const entries = [...wanted, ...programs]
  rmSync(out, { recursive: true, force: true })
  await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(entries.map(e => [e, relative(root, join(dist, `${e}.js`))])),
    outdir: out,
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    sourcemap: true,
    logLevel: 'warning',
  })
}
