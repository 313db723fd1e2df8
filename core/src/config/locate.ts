import { extname } from 'node:path'

export interface Place {
  /** From 1. */
  readonly line: number
  readonly column: number
}
interface Node {
  readonly type: string
  readonly loc?: { readonly start: { readonly line: number; readonly column: number } }
  readonly [k: string]: unknown
}

/**
 * Where an option stands in the config's text: an error that says `fnaad.config.ts:12:5` is mended sooner. Found on a
 * best effort: undefined where the config computes the option.
 * @param path names on the way to the option: `['plugins', 'kafka', 'options', 'brokers']`; a plugin is named by its factory
 */
export async function locate(source: string, file: string, path: readonly string[]): Promise<Place | undefined> {
  try {
    if (['.yaml', '.yml', '.json'].includes(extname(file))) return await locateYaml(source, path)
    const { parse } = await import('@babel/parser')
    const ast = parse(source, { sourceType: 'module', plugins: ['typescript'], errorRecovery: true }) as unknown as Node
    return find(ast, path)
  } catch {
    return undefined
  }
}

async function locateYaml(source: string, path: readonly string[]): Promise<Place | undefined> {
  const { LineCounter, parseDocument } = await import('yaml')
  const lines = new LineCounter()
  const node = parseDocument(source, { lineCounter: lines }).getIn(path, true) as { range?: [number] } | undefined
  if (!node?.range) return undefined
  const { line, col } = lines.linePos(node.range[0])
  return { line, column: col }
}

/** The last word of the path, below a property (or a call) of each word before it, in order of the text. */
function find(root: Node, path: readonly string[]): Place | undefined {
  let scope: Node = root
  for (const [i, word] of path.entries()) {
    const hit = search(scope, word)
    if (!hit) return i === 0 ? undefined : place(scope)
    scope = hit
  }
  return place(scope)
}

function search(node: Node, word: string): Node | undefined {
  if (node.type === 'ObjectProperty' && keyName(node['key'] as Node) === word) return node
  if (node.type === 'CallExpression' && isFactory(keyName(node['callee'] as Node), word)) return node
  for (const [key, value] of Object.entries(node)) {
    if (key === 'loc' || key === 'errors' || key === 'tokens') continue
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child !== 'object' || child === null || typeof (child as Node).type !== 'string') continue
      const hit = search(child as Node, word)
      if (hit) return hit
    }
  }
  return undefined
}

/** `authSasl(…)` or `sasl(…)` for the plugin auth-sasl: a config may call a factory by either. */
function isFactory(name: unknown, plugin: string): boolean {
  if (typeof name !== 'string' || name.length < 3) return false
  return plugin.replaceAll('-', '').endsWith(name.toLowerCase())
}

const keyName = (n: Node | undefined): unknown => n?.['name'] ?? n?.['value']
const place = (n: Node): Place | undefined =>
  n.loc ? { line: n.loc.start.line, column: n.loc.start.column + 1 } : undefined
