import type { Program } from '@fnaa/core/plugin'

/** Every batch goes to every sink, untouched. */
const program: Program = { route: () => () => 'all' }
export default program
