import type { Program } from '@fnaa/core/plugin'

/** Every batch goes to the one sink, untouched. */
const program: Program = { route: () => () => 'all' }
export default program
