import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Config } from './define.js'
import type { Problem } from './rules.js'

/** Bytes of a unix socket's path (sun_path, less its NUL). */
const MOST_PATH = 107

/**
 * What the config leads to on this machine: files of `tls`, and the folders that the agent writes. Nothing is made. The
 * values of the config's paths are said, what is in a key never.
 * @param opt.dates false: an expired certificate is no reason not to start
 */
export async function surroundings(config: Config, opt: { readonly dates?: boolean } = {}): Promise<Problem[]> {
  const { tls, data } = config
  // What is of the wrong type has been said already.
  const found = typeof data === 'string' ? [...(await folder('data', data)), ...tooLong(data)] : []
  found.push(...(await vouching(config.trust?.ca)))
  if (typeof tls !== 'object' || tls === null || !Object.values(tls).every(path => typeof path === 'string'))
    return found
  if ('development' in tls) return [...found, ...(await folder('tls.development', tls.development))]
  return [...found, ...(await certificates(config, tls, opt.dates !== false))]
}

/** A folder that is there and can be written, or could be made. */
export async function folder(option: string, path: string): Promise<Problem[]> {
  const problem = (why: string) => [{ path: option.split('.'), message: `${option} is ${path}: ${why}` }]
  for (let at = resolve(path); ; at = dirname(at)) {
    const is = await stat(at).catch((e: NodeJS.ErrnoException) => e)
    if (is instanceof Error) {
      if (is.code === 'ENOENT' && at !== dirname(at)) continue
      // Something on the way is a file: the next look says which.
      if (is.code === 'ENOTDIR') continue
      return problem(`${at} cannot be looked at (${is.code}); choose a directory of the user that runs the agent`)
    }
    const which = at === resolve(path) ? 'it' : at
    if (!is.isDirectory())
      return problem(`${which} is a file; it must be a directory, which is made where it is missing`)
    try {
      await access(at, constants.W_OK | constants.X_OK)
      return []
    } catch {
      return problem(
        `${which} cannot be written by this user; give it to the user that runs the agent, or choose another`,
      )
    }
  }
}

function tooLong(data: string): Problem[] {
  const bytes = Buffer.byteLength(resolve(data, 'admin.sock'))
  if (bytes <= MOST_PATH) return []
  const rule = `the socket in it would have a path of ${bytes} bytes, at most ${MOST_PATH} are possible; choose a shorter one`
  return [{ path: ['data'], message: `data is ${data}: ${rule}` }]
}

/** The PEM of a file of the config, or undefined where `problems` has one more. */
async function pemOf<T>(
  problems: Problem[],
  option: string,
  path: string,
  parse: (pem: string) => T,
  what: string,
): Promise<T | undefined> {
  const fail = (why: string) => {
    problems.push({ path: option.split('.'), message: `${option} is ${path}: ${why}` })
    return undefined
  }
  let pem: string
  try {
    pem = await readFile(path, 'utf8')
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException
    const why: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file',
      EACCES: 'this user may not read it; let the user that runs the agent read it',
      EISDIR: 'it is a directory',
    }
    return fail(`${why[code ?? ''] ?? `it cannot be read (${code})`}; it must be ${what}, in PEM`)
  }
  try {
    return parse(pem)
  } catch {
    return fail(`it holds no ${what.replace(/^an? /, '')} in PEM`)
  }
}

const certificate = (pem: string) => new X509Certificate(pem)

async function vouching(path: unknown): Promise<Problem[]> {
  const problems: Problem[] = []
  if (typeof path === 'string') await pemOf(problems, 'trust.ca', path, certificate, 'a certificate')
  return problems
}

async function certificates(config: Config, tls: { cert: string; key: string; ca?: string }, dates: boolean) {
  const problems: Problem[] = []
  const cert = await pemOf(problems, 'tls.cert', tls.cert, certificate, 'a certificate')
  const secret = (pem: string) => createPrivateKey(pem)
  const key = await pemOf(problems, 'tls.key', tls.key, secret, 'a private key without password')
  if (tls.ca !== undefined) await pemOf(problems, 'tls.ca', tls.ca, certificate, 'a certificate')
  if (cert) problems.push(...fits(config, tls, cert, key, dates))
  return problems
}

/** Does a certificate fit its key, this agent, and today? */
function fits(
  config: Config,
  tls: { cert: string; key: string },
  cert: X509Certificate,
  key: KeyObject | undefined,
  dates: boolean,
): Problem[] {
  const problem = (option: 'cert' | 'key', why: string) => ({
    path: ['tls', option],
    message: `tls.${option} is ${tls[option]}: ${why}`,
  })
  const now = Date.now()
  const found: Problem[] = []
  if (key && !cert.checkPrivateKey(key))
    found.push(problem('key', `it is not the key of the certificate in ${tls.cert}; give the two that belong together`))
  if (dates && Date.parse(cert.validTo) < now) found.push(problem('cert', `it expired on ${cert.validTo}; renew it`))
  if (dates && Date.parse(cert.validFrom) > now)
    found.push(problem('cert', `it is valid from ${cert.validFrom} only; is the clock of this machine right?`))
  if (cert.checkHost(config.host) === undefined)
    found.push(problem('cert', `it does not bear host, ${config.host}; clients would refuse it: get one that does`))
  return found
}
