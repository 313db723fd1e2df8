import { extname } from 'node:path'

export interface Place {
  /** From 1. */
  readonly line: number
  readonly column: number
}
export interface Node {
  readonly type: string
  readonly loc?: { readonly start: { readonly line: number; readonly column: number } }
  readonly [k: string]: unknown
}

/**
 * Where an option stands in the config's text: an error that says `fnaad.config.ts:12:5` is mended sooner. Found on a
 * best effort: undefined where the config computes the option.
 * @param path names on the way to the option: `['plugins', 'kafka', 'options', 'brokers']`; a plugin is named by its factory
 */
export async function locate(
  source: string,
  file: string,
  path: readonly (string | number)[],
): Promise<Place | undefined> {
  try {
    if (['.yaml', '.yml', '.json'].includes(extname(file))) return await locateYaml(source, path)
    return find(await parsed(source), path.map(String))
  } catch {
    return undefined
  }
}

/** The syntax tree of a config in TypeScript or JavaScript. @throws where it is none at all */
export async function parsed(source: string): Promise<Node> {
  const { parse } = await import('@babel/parser')
  return parse(source, { sourceType: 'module', plugins: ['typescript'], errorRecovery: true }) as unknown as Node
}

/** The name of a plugin's factory where `plugins` holds the factory itself. */
export async function factoryAt(source: string, index: number): Promise<string | undefined> {
  try {
    const list = search(await parsed(source), 'plugins')
    const name = list && element(list, String(index))?.['name']
    return typeof name === 'string' ? name : undefined
  } catch {
    return undefined
  }
}

/** `:12:5`, for messages. */
export const at = (p: Place | undefined): string => (p ? `:${p.line}:${p.column}` : '')

async function locateYaml(source: string, path: readonly (string | number)[]): Promise<Place | undefined> {
  const { LineCounter, parseDocument } = await import('yaml')
  const lines = new LineCounter()
  const document = parseDocument(source, { lineCounter: lines })
  for (const way of [path, ...waysOf(path, document.toJS())]) {
    const node = document.getIn(way, true) as { range?: [number] } | undefined
    if (!node?.range) continue
    const { line, col } = lines.linePos(node.range[0])
    return { line, column: col }
  }
  return undefined
}

/** Where an option of a plugin, named by its factory, may stand in data; then what stands around it. */
function waysOf([list, factory, ...rest]: readonly (string | number)[], data: unknown): (string | number)[][] {
  const entries = (data as { plugins?: unknown } | null)?.plugins
  if (list !== 'plugins' || !Array.isArray(entries)) return []
  const at = [...entries.keys()].filter(i => String(entries[i]?.use).split('/').pop() === factory)
  const depths = Array.from({ length: rest.length }, (_, i) => rest.slice(0, rest.length - i))
  return [
    ...depths.flatMap(words => at.map(i => ['plugins', i, 'options', ...words])),
    ...at.map(i => ['plugins', i, 'use']),
  ]
}

/** The last word of the path, below a property (or a call) of each word before it, in order of the text. */
function find(root: Node, path: readonly string[]): Place | undefined {
  // What the config as a whole lacks is said of its export.
  let scope: Node = (path.length === 0 ? exported(root) : undefined) ?? root
  for (const [i, word] of path.entries()) {
    const hit = element(scope, word) ?? search(scope, word)
    if (!hit) return i === 0 ? undefined : place(scope)
    scope = hit
  }
  return place(scope)
}

const exported = (root: Node): Node | undefined =>
  (root['program'] as { body: Node[] }).body.find(n => n.type === 'ExportDefaultDeclaration')

/** An element of the list that a property is, by its index; undefined where the config computes the list. */
function element(scope: Node, index: string): Node | undefined {
  const list = scope['value'] as Node | undefined
  if (!/^\d+$/.test(index) || list?.type !== 'ArrayExpression') return undefined
  const elements = list['elements'] as (Node | null)[]
  return elements.some(e => e?.type === 'SpreadElement') ? undefined : (elements[Number(index)] ?? undefined)
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
export const place = (n: Node): Place | undefined =>
  n.loc ? { line: n.loc.start.line, column: n.loc.start.column + 1 } : undefined
