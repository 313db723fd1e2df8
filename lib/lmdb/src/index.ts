/** `@fnaa/lib-lmdb`: an LMDB file that one process holds. Shared by plugins; it knows nothing of what they store. */
export { aborted, Disk, type Put, type Table } from './disk.js'
export { claim } from './file.js'
export { Lock, type Register } from './lock.js'
export { type OpenOptions, openLocked } from './open.js'
