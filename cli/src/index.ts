/** `@fnaa/cli`: the program is `fnua`; these are its parts that others may stand on. */
export { EXIT } from './errors.js'
export { type Request, requestOf } from './line.js'
export { buildProgram } from './program.js'
export { type Process, runFnua } from './run.js'
export { aliasesOf, BY_SESSION, COMMANDS, type CommandSpec, type OptionSpec, pathOf } from './tree.js'
