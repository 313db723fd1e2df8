/**
 * Aborts after `ms` milliseconds, or as soon as one of `signals` does. It does so whoever holds it: Node 20 collects an
 * `AbortSignal.timeout` that nobody holds but `AbortSignal.any`, which then never aborts. It keeps no process alive.
 */
export function signalAfter(ms: number, ...signals: readonly AbortSignal[]): AbortSignal {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new DOMException('it took too long', 'TimeoutError')), ms)
  timer.unref()
  return signals.length === 0 ? late.signal : AbortSignal.any([late.signal, ...signals])
}
