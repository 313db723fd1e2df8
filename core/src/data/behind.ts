import { type FrameReader, fnapError } from '@fnaa/protocol'
import { WAITING } from '../server/connection.js'

/**
 * What stands behind the client's E are its next commands, which wait until this side has said E too: as many bytes of them as
 * may wait for any command. More is no command that a client may send here.
 * @throws LINETOOLONG
 */
export function checkBehind(frames: FrameReader): void {
  if (frames.buffered > WAITING) throw fnapError('LINETOOLONG', 'too much stands behind the end of the stream')
}
