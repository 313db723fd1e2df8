import { generateKeyPairSync, randomBytes } from 'node:crypto'
import forge from 'node-forge'

/** PEM texts. */
export interface Certificates {
  /** What clients trust. */
  readonly ca: string
  /** Private key (PKCS #8) and certificate of the server, one after the other. */
  readonly server: string
  /** The same of a server of another name: `elsewhere.test`. */
  readonly elsewhere: string
}

const DAYS = 30

/** A certificate for `localhost` and 127.0.0.1, signed by a CA that nobody has the key of afterwards, and that has a name of its own. */
export function certificates(now = Date.now()): Certificates {
  const root = keys()
  const ca = sign({
    name: `fnaad services CA ${randomBytes(4).toString('hex')}`,
    serial: '01',
    of: root,
    by: root,
    issuer: null,
    now,
  })
  const leaf = keys()
  const here = [
    { type: 2, value: 'localhost' },
    { type: 7, ip: '127.0.0.1' },
  ]
  const server = sign({ name: 'localhost', serial: '02', of: leaf, by: root, issuer: ca, names: here, now })
  const names = [{ type: 2, value: 'elsewhere.test' }]
  const elsewhere = sign({ name: 'elsewhere.test', serial: '03', of: leaf, by: root, issuer: ca, names, now })
  const pem = (made: forge.pki.Certificate) => leaf.pem + forge.pki.certificateToPem(made)
  return { ca: forge.pki.certificateToPem(ca), server: pem(server), elsewhere: pem(elsewhere) }
}

interface Keys {
  readonly pem: string
  readonly private: forge.pki.rsa.PrivateKey
  readonly public: forge.pki.rsa.PublicKey
}

/** OpenSSL makes them a hundred times faster than forge. */
function keys(): Keys {
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const { pki } = forge
  return {
    pem: pair.privateKey,
    private: pki.privateKeyFromPem(pair.privateKey),
    public: pki.publicKeyFromPem(pair.publicKey),
  }
}

function sign(opt: {
  readonly name: string
  readonly serial: string
  readonly of: Keys
  readonly by: Keys
  readonly issuer: forge.pki.Certificate | null
  readonly names?: readonly object[]
  readonly now: number
}): forge.pki.Certificate {
  const made = forge.pki.createCertificate()
  made.publicKey = opt.of.public
  made.serialNumber = opt.serial
  made.validity.notBefore = new Date(opt.now - 3_600_000)
  made.validity.notAfter = new Date(opt.now + DAYS * 86_400_000)
  made.setSubject([{ name: 'commonName', value: opt.name }])
  made.setIssuer(opt.issuer?.subject.attributes ?? made.subject.attributes)
  const leaf = [
    { name: 'basicConstraints', cA: false },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames: opt.names },
  ]
  made.setExtensions(
    opt.issuer
      ? leaf
      : [
          { name: 'basicConstraints', cA: true, critical: true },
          { name: 'keyUsage', keyCertSign: true, critical: true },
        ],
  )
  made.sign(opt.by.private, forge.md.sha256.create())
  return made
}
