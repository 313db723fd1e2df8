import type { Test } from 'tap'
import { type ErrorSymbol, isFnapError } from './index.js'

/** The call throws a FnapError of this symbol, whose sentence could go on the wire. */
export function fails(t: Test, call: () => unknown, symbol: ErrorSymbol, message?: string): void {
  try {
    call()
  } catch (error) {
    if (!isFnapError(error)) throw error
    const sayable = /^[\x20-\x7e]+$/.test(error.sentence) && (symbol === 'MOVED' || !error.sentence.includes('220'))
    t.equal(sayable ? error.symbol : `unsayable: ${error.sentence}`, symbol, message ?? symbol)
    return
  }
  t.fail(`${message ?? ''}: ${symbol} was expected`)
}
