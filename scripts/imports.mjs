// The import rules of the house (docs/architecture.md). Exits with 1 and names each import that breaks one.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const IMPORT = /(?:^|\n)\s*(?:import|export)\s(?:[^'"]*?\sfrom\s*)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

/** What a package may import of ours; a trailing `*` allows every lib. */
function allowed(pkg) {
  if (pkg === 'protocol') return []
  if (pkg === 'client') return ['@fnaa/protocol']
  if (pkg === 'core') return ['@fnaa/protocol', '@fnaa/client']
  if (pkg === 'cli') return ['@fnaa/protocol', '@fnaa/client']
  // What tests start knows nothing of what they test.
  if (pkg === 'services') return []
  if (pkg === 'conformance') return ['@fnaa/protocol', '@fnaa/core', '@fnaa/core/plugin']
  if (pkg === 'processor-host') return ['@fnaa/protocol', '@fnaa/client', '@fnaa/core', '@fnaa/core/plugin']
  // A library of plugins throws the seam's errors, and knows nothing else of the kernel.
  if (pkg.startsWith('lib/')) return ['@fnaa/protocol', '@fnaa/client', '@fnaa/core/plugin']
  if (pkg.startsWith('plugins/')) {
    const rules = ['@fnaa/protocol', '@fnaa/client', '@fnaa/core/plugin', '@fnaa/lib-*', '@fnaa/kafka-wire']
    // The runtime starts the host program and speaks its messages.
    return pkg === 'plugins/runtime-process' ? [...rules, '@fnaa/processor-host'] : rules
  }
  return null
}
/** Tests may also use the suites and what they test. */
const FOR_TESTS = [
  '@fnaa/conformance',
  '@fnaa/protocol',
  '@fnaa/client',
  '@fnaa/core',
  '@fnaa/core/plugin',
  '@fnaa/processor-host',
  '@fnaa/services',
]
/** No I/O in the standard. */
const NO_IO =
  /^(node:)?(net|tls|dgram|fs|fs\/promises|http|https|http2|dns|dns\/promises|child_process|cluster|worker_threads)$/

/** Every broken rule below `root`, as `file: import (rule)`. */
export function broken(root) {
  const found = []
  for (const pkg of packages(root)) {
    for (const file of files(join(root, pkg, 'src'))) found.push(...check(root, pkg, file))
  }
  return found
}

function check(root, pkg, file) {
  const test = /\.test(\.helper)?\.ts$/.test(file)
  const rules = [...(allowed(pkg) ?? []), ...(test ? FOR_TESTS : [])]
  const at = relative(root, file)
  return specifiers(readFileSync(file, 'utf8')).flatMap(spec => {
    if (spec.startsWith('.')) {
      const inside = resolve(dirname(file), spec).startsWith(`${join(root, pkg)}/`)
      return inside ? [] : [`${at}: ${spec} (a package is entered by its name, never by a path)`]
    }
    if (pkg === 'protocol' && !test && NO_IO.test(spec)) return [`${at}: ${spec} (protocol does no I/O)`]
    if (!spec.startsWith('@fnaa/')) return []
    const ok = rules.some(r => r === spec || (r.endsWith('*') && spec.startsWith(r.slice(0, -1))))
    return ok ? [] : [`${at}: ${spec} (${pkg} may import ${rules.join(', ') || 'nothing of ours'})`]
  })
}

function specifiers(text) {
  return [...text.matchAll(IMPORT)].map(m => m[1] ?? m[2])
}

function packages(root) {
  const top = ['protocol', 'client', 'core', 'conformance', 'cli', 'processor-host', 'services'].filter(p =>
    existsSync(join(root, p, 'src')),
  )
  const below = ['plugins', 'lib'].flatMap(d =>
    existsSync(join(root, d)) ? readdirSync(join(root, d)).map(p => `${d}/${p}`) : [],
  )
  return [...top, ...below.filter(p => existsSync(join(root, p, 'src')))]
}

function files(directory) {
  return readdirSync(directory).flatMap(name => {
    const path = join(directory, name)
    return statSync(path).isDirectory() ? files(path) : path.endsWith('.ts') ? [path] : []
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = broken(dirname(dirname(fileURLToPath(import.meta.url))))
  for (const line of found) console.error(line)
  process.exitCode = found.length > 0 ? 1 : 0
}
