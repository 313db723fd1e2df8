import type { Verb } from './verbs.js'
/** A word of a line. A quoted word is a value, never a keyword (hardening H30). */
export interface Token {
  readonly text: string
  readonly quoted: boolean
}
export interface Command {
  readonly id: string
  readonly args: Readonly<Record<string, unknown>>
  readonly options: Readonly<Record<string, unknown>>
}
export type Right = 'describe' | 'read' | 'write' | 'subscribe' | 'manage'
export type CommandFrom =
  | { readonly at: 'earliest' | 'latest' | 'position' }
  | { readonly at: 'time'; readonly time: number }
  | { readonly at: 'cursor'; readonly label: string }
export type RateLimit = 'none' | { readonly bytesPerSecond?: number; readonly eventsPerSecond?: number }
export interface On {
  readonly kind: 'Namespace' | 'Flow'
  readonly name: string
}
const todo = (): never => {
  throw new Error('not yet')
}
export const tokenize = (_line: string): Token[] => todo()
export const identifyCommand = (_line: string): Verb | null => todo()
export const parseCommand = (_line: string): Command => todo()
export const formatCommand = (_id: string, _args?: object, _options?: object): string => todo()
