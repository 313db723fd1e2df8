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

/** A CA with a name of its own, whose key nobody has but this object. */
export class Authority {
  /** What clients trust, PEM. */
  readonly ca: string
  readonly #root = keys()
  readonly #certificate: forge.pki.Certificate
  readonly #now: number
  #serial = 1

  constructor(now = Date.now()) {
    this.#now = now
    const name = `fnaad services CA ${randomBytes(4).toString('hex')}`
    this.#certificate = sign({ name, serial: '01', of: this.#root, by: this.#root, issuer: null, now })
    this.ca = forge.pki.certificateToPem(this.#certificate)
  }

  /** A server's certificate for these names and addresses, with its key (PKCS #8), both PEM. */
  issue(names: readonly string[], addresses: readonly string[] = []): { readonly cert: string; readonly key: string } {
    const leaf = keys()
    const serial = (++this.#serial).toString(16).padStart(2, '0')
    const alternative = [...names.map(value => ({ type: 2, value })), ...addresses.map(ip => ({ type: 7, ip }))]
    const by = { by: this.#root, issuer: this.#certificate, now: this.#now }
    const made = sign({ name: names[0] ?? '', serial, of: leaf, names: alternative, ...by })
    return { cert: forge.pki.certificateToPem(made), key: leaf.pem }
  }
}

/** Certificates for `localhost` and 127.0.0.1, or for the names, signed by a CA that nobody has the key of afterwards. */
export function certificates(
  authority = new Authority(),
  { names, addresses }: { names: readonly string[]; addresses?: readonly string[] } = {
    names: ['localhost'],
    addresses: ['127.0.0.1'],
  },
): Certificates {
  const pem = ({ key, cert }: { key: string; cert: string }) => key + cert
  const server = pem(authority.issue(names, addresses))
  return { ca: authority.ca, server, elsewhere: pem(authority.issue(['elsewhere.test'])) }
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
