import { FnaError } from '@fnaa/core/plugin'
import { isFnapError } from '@fnaa/protocol'

/**
 * What is wrong with a batch, as an error of the seam: FNA_ERR_TOO_LARGE, FNA_ERR_UNSUPPORTED (its codec is not here), else
 * FNA_ERR_CORRUPT. Anything else is given back as it is.
 * @param where in the form of `partition 0 of topic t, from offset 5 on`
 */
export function translated(e: unknown, where?: string): unknown {
  if (!isFnapError(e)) return e
  const code =
    e.symbol === 'TOOLONG'
      ? 'FNA_ERR_TOO_LARGE'
      : e.symbol === 'NOTSUPPORTED'
        ? 'FNA_ERR_UNSUPPORTED'
        : 'FNA_ERR_CORRUPT'
  return new FnaError(code, where === undefined ? e.sentence : `${where}: ${e.sentence}`, { cause: e })
}
