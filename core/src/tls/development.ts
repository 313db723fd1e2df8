import { generateKeyPair, randomBytes, X509Certificate } from 'node:crypto'
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { pki } from 'node-forge'
import { FnaError } from '../contract/errors.js'

/** PEM texts. */
export interface DevelopmentPair {
  readonly cert: string
  readonly key: string
}
export interface DevelopmentCertificates extends DevelopmentPair {
  /** The certificate that others trust to trust this one. */
  readonly ca: string
}

const DAY = 86_400_000
const LEAF_DAYS = 90
const RENEW_DAYS = 30
const CA_DAYS = 1825
/** A CA that ends sooner could not sign a leaf of full length. */
const CA_LEFT_DAYS = LEAF_DAYS + RENEW_DAYS

/**
 * The development CA of a directory, made on first use. Several agents may share a directory, also while both boot.
 * Files: `ca.pem` with certificate and key (0600), and `ca.crt` with the certificate alone, to be trusted.
 * @param now milliseconds since 1970
 * @throws FNA_ERR_CONFIG where the directory cannot be used
 */
export async function developmentCa(directory: string, now = Date.now()): Promise<DevelopmentPair> {
  const file = join(directory, 'ca.pem')
  try {
    const kept = await readPair(file)
    if (kept && daysLeft(kept, now) >= CA_LEFT_DAYS) return kept
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const made = await issue({
      commonName: `fnaad development CA ${randomBytes(4).toString('hex')}`,
      days: CA_DAYS,
      now,
    })
    const ca = kept ? await replace(file, made) : await createOnce(file, made)
    await writeFile(join(directory, 'ca.crt'), ca.cert, { mode: 0o644 })
    return ca
  } catch (e) {
    throw unusable(directory, e)
  }
}

/**
 * A certificate for `names` and `addresses`, signed by the directory's development CA. It is for tests and for trying
 * things out: it lives 90 days and is made anew when fewer than 30 remain, when it does not name what is asked for, or
 * when the CA is another. Otherwise it only reads two files.
 * @param opt.names DNS names, at least one; the first names the file
 * @param opt.addresses IP addresses
 * @param opt.now milliseconds since 1970, for tests
 * @throws FNA_ERR_CONFIG
 */
export async function developmentCertificates(opt: {
  readonly directory: string
  readonly names: readonly string[]
  readonly addresses?: readonly string[]
  readonly now?: number
}): Promise<DevelopmentCertificates> {
  const { directory, names, addresses = [], now = Date.now() } = opt
  const first = names[0]
  if (first === undefined || !names.every(isHost)) {
    throw new FnaError('FNA_ERR_CONFIG', 'a development certificate needs names of labels of a-z 0-9 and hyphens')
  }
  const ca = await developmentCa(directory, now)
  const file = join(directory, `${first}.pem`)
  try {
    const kept = await readPair(file)
    if (kept && serves(kept, ca, [...names, ...addresses], now)) return { ...kept, ca: ca.cert }
    const leaf = await issue({
      commonName: first.length > 64 ? 'fnaad' : first,
      days: LEAF_DAYS,
      now,
      ca,
      names,
      addresses,
    })
    return { ...(await replace(file, leaf)), ca: ca.cert }
  } catch (e) {
    throw unusable(directory, e)
  }
}

const isHost = (name: string): boolean => name.length <= 253 && /^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/.test(name)

function unusable(directory: string, cause: unknown): FnaError {
  if (cause instanceof FnaError) return cause
  return new FnaError('FNA_ERR_CONFIG', `development certificates in ${directory}: ${(cause as Error).message}`, {
    cause,
  })
}

/** The certificate and the key of a file, or null where there is none or it does not hold both. */
async function readPair(file: string): Promise<DevelopmentPair | null> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw e
  }
  const cert = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\r?\n?/.exec(text)?.[0]
  const key = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\r?\n?/.exec(text)?.[0]
  return cert && key ? { cert, key } : null
}

const daysLeft = (pair: DevelopmentPair, now: number): number =>
  (Date.parse(new X509Certificate(pair.cert).validTo) - now) / DAY

function serves(pair: DevelopmentPair, ca: DevelopmentPair, subjects: readonly string[], now: number): boolean {
  const cert = new X509Certificate(pair.cert)
  const authority = new X509Certificate(ca.cert)
  return (
    daysLeft(pair, now) >= RENEW_DAYS &&
    cert.checkIssued(authority) &&
    cert.verify(authority.publicKey) &&
    subjects.every(s => (isIP(s) ? cert.checkIP(s) : cert.checkHost(s)) !== undefined)
  )
}

/** Writes a file that only we can read, whole or not at all. */
async function replace(file: string, pair: DevelopmentPair): Promise<DevelopmentPair> {
  const draft = await writeDraft(file, pair)
  await rename(draft, file)
  return pair
}

/** As {@link replace}, but who comes second takes what the first has written. */
async function createOnce(file: string, pair: DevelopmentPair): Promise<DevelopmentPair> {
  const draft = await writeDraft(file, pair)
  try {
    await link(draft, file)
    return pair
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e
    return (await readPair(file)) ?? (await replace(file, pair))
  } finally {
    await unlink(draft)
  }
}

async function writeDraft(file: string, pair: DevelopmentPair): Promise<string> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  await writeFile(draft, pair.cert + pair.key, { mode: 0o600, flag: 'wx' })
  return draft
}

interface Wanted {
  readonly commonName: string
  readonly days: number
  readonly now: number
  /** Absent: self-signed, a CA. */
  readonly ca?: DevelopmentPair
  readonly names?: readonly string[]
  readonly addresses?: readonly string[]
}

/** Keys come from OpenSSL, which is many times faster than node-forge; the certificate is node-forge's (RSA is all it can). */
async function issue(w: Wanted): Promise<DevelopmentPair> {
  const keys = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const { default: forge } = await import('node-forge')
  const cert = forge.pki.createCertificate()
  const authority = w.ca && forge.pki.certificateFromPem(w.ca.cert)
  cert.publicKey = forge.pki.publicKeyFromPem(keys.publicKey)
  cert.serialNumber = serial()
  // An hour back, for clocks that are a little behind.
  cert.validity.notBefore = new Date(w.now - 3_600_000)
  cert.validity.notAfter = new Date(w.now + w.days * DAY)
  const subject = [{ name: 'commonName', value: w.commonName }]
  cert.setSubject(subject)
  cert.setIssuer(authority ? authority.subject.attributes : subject)
  cert.setExtensions(authority ? leafExtensions(w, authority) : caExtensions())
  const signer = forge.pki.privateKeyFromPem(w.ca ? w.ca.key : keys.privateKey)
  cert.sign(signer as pki.rsa.PrivateKey, forge.md.sha256.create())
  return { cert: forge.pki.certificateToPem(cert).replaceAll('\r\n', '\n'), key: keys.privateKey }
}

/** 127 random bits, positive and without a leading zero byte (RFC 5280 §4.1.2.2). */
function serial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/** Made anew for each certificate: node-forge writes the encoded values into these objects. */
function caExtensions(): object[] {
  return [
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]
}

function leafExtensions(w: Wanted, authority: pki.Certificate): object[] {
  return [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    {
      name: 'subjectAltName',
      altNames: [
        ...(w.names ?? []).map(value => ({ type: 2, value })),
        ...(w.addresses ?? []).map(ip => ({ type: 7, ip })),
      ],
    },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: authority.generateSubjectKeyIdentifier().getBytes() },
  ]
}
