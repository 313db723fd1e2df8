import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSIONS = ['4.3.1', '3.9.1'] as const
export type KafkaVersion = (typeof VERSIONS)[number]

/**
 * What tests run on that name no version: the latest, or what the environment's FNAAD_KAFKA says.
 * @throws RangeError for another than those above
 */
export const USUAL: KafkaVersion = usual(process.env['FNAAD_KAFKA'])

function usual(wanted: string | undefined): KafkaVersion {
  const found = wanted === undefined || wanted === '' ? VERSIONS[0] : VERSIONS.find(v => v === wanted)
  if (!found) throw new RangeError(`FNAAD_KAFKA: ${VERSIONS.join(' or ')}`)
  return found
}

const FILES = fileURLToPath(new URL('../kafka', import.meta.url))
const POM = join(FILES, 'pom.xml')
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
/** Milliseconds; ten times what 60 MB take. */
const DOWNLOAD = 600_000
/** What Kafka 4's brokers need. */
const JAVA = 17

/** The JVM's options that have it log to standard output in our way. */
export function logging(version: KafkaVersion): string {
  return modern(version)
    ? `-Dlog4j2.configurationFile=${join(FILES, 'log4j2.properties')}`
    : `-Dlog4j.configuration=file:${join(FILES, 'log4j.properties')}`
}

/** Kafka 4 logs by log4j 2, which it leaves to us; 3 by reload4j, which it brings. */
const modern = (version: KafkaVersion) => !version.startsWith('3.')

export const java = () => (process.env['JAVA_HOME'] ? join(process.env['JAVA_HOME'], 'bin', 'java') : 'java')

/** Where the jars of a version are, or will be: another folder whenever the pom is another. */
function directory(version: KafkaVersion): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const hash = createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 12)
  return join(cache, 'fnaad', 'kafka', `${hash}-${version}`)
}

/**
 * Why Kafka cannot run here: no Java, no Maven, or Maven cannot download. Null where it can, after having installed it.
 * In CI always null: there a test whose service is missing fails with the reason instead of being skipped.
 */
export function unavailable(version: KafkaVersion = USUAL): string | null {
  if (process.env['CI']) return null
  try {
    installKafka(version)
    return null
  } catch (e) {
    return (e as Error).message
  }
}

/**
 * The folder of Kafka's jars. The first call downloads them (60 MB), says so on standard error, and blocks until it is
 * done; processes that come meanwhile wait for it.
 * @throws Error that says what is missing and how to install it
 */
export function installKafka(version: KafkaVersion = USUAL): string {
  needJava()
  const target = directory(version)
  if (existsSync(target)) return target
  if (run('mvn', ['--version']).status !== 0) {
    throw new Error('Kafka for the tests comes through Maven, and there is no mvn: apt-get install maven')
  }
  mkdirSync(join(target, '..'), { recursive: true })
  const unlock = lock(`${target}.lock`)
  try {
    if (!existsSync(target)) download(version, target)
    return target
  } finally {
    unlock()
  }
}

function needJava(): void {
  const { status, stderr } = run(java(), ['-version'])
  const major = Number(/version "(\d+)/.exec(stderr)?.[1])
  if (status !== 0) throw new Error(`Kafka for the tests needs Java ${JAVA}: apt-get install openjdk-17-jre-headless`)
  if (major < JAVA) throw new Error(`Kafka for the tests needs Java ${JAVA}, ${java()} is ${major}: set JAVA_HOME`)
}

function download(version: KafkaVersion, target: string): void {
  process.stderr.write(`installing Kafka ${version} by Maven (60 MB, once) …\n`)
  const started = Date.now()
  const fresh = mkdtempSync(`${target}.new-`)
  const profile = modern(version) ? ['-Plog4j2'] : []
  const args = ['-B', '-q', '-f', POM, `-Dkafka.version=${version}`, ...profile, COPY]
  const done = run('mvn', [...args, '-DincludeScope=runtime', `-DoutputDirectory=${fresh}`], DOWNLOAD)
  if (done.status !== 0) {
    rmSync(fresh, { recursive: true, force: true })
    const why = `${done.stdout}${done.stderr}`.split('\n').find(line => line.includes('ERROR')) ?? done.error?.message
    throw new Error(`Maven could not fetch Kafka ${version}: ${why ?? `exit code ${done.status}`}`)
  }
  renameSync(fresh, target)
  process.stderr.write(`Kafka ${version} installed in ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
}

const run = (command: string, args: readonly string[], timeout = 60_000) =>
  spawnSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', timeout })

/** One process installs. A lock whose holder has died, or is older than a download may last, counts for nothing. */
function lock(file: string): () => void {
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      return () => rmSync(file, { force: true })
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e
    }
    if (stale(file)) rmSync(file, { force: true })
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  }
}

function stale(file: string): boolean {
  try {
    if (Date.now() - statSync(file).mtimeMs > DOWNLOAD) return true
    process.kill(Number(readFileSync(file, 'utf8')), 0)
    return false
  } catch (e) {
    return (e as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
