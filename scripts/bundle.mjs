// Packages of many modules are loaded as one file each: Node takes half a millisecond and more to find and link a module, and an
// agent has some 350. What an `exports` names in dist/bundle is made here of the module of the same name in dist.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { build } from 'esbuild'
import { root } from './setup.mjs'

/** Bundles the packages that want it, and the CLI, where one of their modules has changed. */
export async function bundleAll() {
  await Promise.all([...packages().map(bundlePackage), bundleCli()])
}

function packages() {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return workspaces.flatMap(w =>
    w.endsWith('/*')
      ? readdirSync(join(root, w.slice(0, -2))).map(name => join(root, w.slice(0, -2), name))
      : [join(root, w)],
  )
}

async function bundlePackage(directory) {
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
  if (changed(made) >= changed(join(dist, '.tsbuildinfo'))) return
  const programs = Object.values(bin).map(path => path.replace(/\.js$/, ''))
  const entries = [...wanted, ...programs]
  const files = await bundle({
    entryPoints: Object.fromEntries(entries.map(e => [e, relative(root, join(dist, `${e}.js`))])),
    outdir: out,
    splitting: true,
    packages: 'external',
    target: 'node20.19',
    format: 'esm',
    sourcemap: true,
  })
  const there = readdirSync(out, { withFileTypes: true }).filter(entry => entry.isFile())
  for (const { name } of there) if (!files.includes(join(out, name))) rmSync(join(out, name))
  touch(made)
}

/** The CLI is one file: it holds protocol, client and cli. */
async function bundleCli() {
  const dist = join(root, 'cli', 'dist')
  const made = join(dist, 'fnua.cjs')
  const newest = Math.max(...['protocol', 'client', 'cli'].map(p => changed(join(root, p, 'dist', '.tsbuildinfo'))))
  if (changed(made) >= newest) return
  await bundle({
    entryPoints: [join(dist, 'main.js')],
    outfile: made,
    target: 'node20',
    format: 'cjs',
    // Module by module: what the CLI does not use stays out.
    conditions: ['modules'],
    alias: { '@node-rs/crc32': join(dist, 'crc32c.js') },
    minifyWhitespace: true,
    legalComments: 'none',
  })
  touch(made)
}

/**
 * Writes what differs from what is there, each file at once, what others load before them: an agent or a test that starts meanwhile
 * finds a whole. @returns the paths
 */
async function bundle(options) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    logLevel: 'warning',
    write: false,
    ...options,
  })
  const part = ({ path }) => /-[0-9A-Z]{8}\.js(\.map)?$/.test(path)
  for (const { path, contents } of outputFiles.sort((a, b) => part(b) - part(a))) {
    if (existsSync(path) && readFileSync(path).equals(contents)) continue
    mkdirSync(dirname(path), { recursive: true })
    const next = `${path}.${process.pid}`
    writeFileSync(next, contents)
    renameSync(next, path)
  }
  return outputFiles.map(f => f.path)
}

/** When it was changed; 0: it is not there. */
const changed = path => (existsSync(path) ? statSync(path).mtimeMs : 0)
const touch = path => utimesSync(path, new Date(), new Date())
