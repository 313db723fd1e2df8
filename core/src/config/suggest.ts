/** Edits between two short words (Levenshtein); at most 64 characters are looked at. */
function edits(a: string, b: string): number {
  const [x, y] = [a.slice(0, 64), b.slice(0, 64)]
  let row = Array.from({ length: y.length + 1 }, (_, i) => i)
  for (let i = 1; i <= x.length; i++) {
    const next = [i]
    for (let j = 1; j <= y.length; j++) {
      const swap = row[j - 1]! + (x[i - 1] === y[j - 1] ? 0 : 1)
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[y.length]!
}

/** The known word that was probably meant, if one is near enough (a third of its length). */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map(k => ({ k, d: edits(word.toLowerCase(), k.toLowerCase()) }))
    .sort((a, b) => a.d - b.d || a.k.localeCompare(b.k))
  const best = ranked[0]
  return best && best.d <= Math.max(1, Math.ceil(best.k.length / 3)) ? best.k : undefined
}
