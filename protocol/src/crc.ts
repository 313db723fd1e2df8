import { crc32c as compute } from '@node-rs/crc32'

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4) as an unsigned 32-bit number. */
export const crc32c = (bytes: Uint8Array): number => compute(bytes)
