import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Authority, Bind, type Host, Network, Unbound } from '@fnaa/services'
import type { Test } from 'tap'
import { folder } from './agents.js'
import { ProcessAgent } from './process.js'
import { shell } from './start.js'

const DOMAIN = 'example.org'
const ADDRESS = '203.0.113.10'
const CONFIG = '/etc/fnaad/fnaad.config.ts'
/** Folders that the guide's commands write to, which are the machine's own outside of this host. */
const FOLDERS = ['/etc/bind', '/var/lib/bind', '/var/cache/bind', '/var/lib/unbound']

/** The machine of docs/guides/dns.md, with its files; its commands are still to be typed. */
export async function dnsGuide(t: Test, text: string) {
  const network = await Network.start()
  t.teardown(() => network.stop())
  const { address, within: middle } = network.middle
  const registry = await Bind.start({ zones: [{ name: 'org' }], address, port: 53, within: middle })
  t.teardown(() => registry.stop())
  const host = await network.host()
  const on = (...command: string[]) => run(host, command)
  on('ip', 'address', 'add', `${ADDRESS}/32`, 'dev', 'lo')
  for (const path of FOLDERS) {
    const copy = await folder(t)
    on('sh', '-c', `cp -a ${path}/. ${copy} && mount --bind ${copy} ${path}`)
  }
  // Where Unbound has never been started it has no root key yet.
  on('cp', '/usr/share/dns/root.key', '/var/lib/unbound/root.key')
  on('sh', '-c', 'mount -t tmpfs tmpfs /run && install -d -o bind -g bind /run/named')
  for (const [, path, body] of text.matchAll(/^```file (\S+)\n([\s\S]*?)^```$/gm)) run(host, ['tee', path!], body)
  const anchors = { org: registry.ds('org') }
  const resolver = await Unbound.start({ anchors, stubs: { org: `${address}:53` }, port: 53, within: host.within })
  t.teardown(() => resolver.stop())
  const { agent, ca } = await agentOf(t, host, text)
  const etc = await folder(t)
  const as = (line: string) => line.replace(CONFIG, agent.config).replaceAll('/etc/fnaad/', `${etc}/`)
  const env = { XDG_CONFIG_HOME: await folder(t), FNUA_PASSWORD: 'a long password', FNUA_CA: ca }
  const options = { within: host.within, env }
  return {
    ...options,
    as,
    async instead(line: string): Promise<boolean> {
      if (line === 'systemctl restart named') await named(t, host)
      else if (line === `npx fnaad --config ${CONFIG}`) await agent.start()
      else if (line.startsWith('delv ')) t.match(resolver.delv('org', 'SOA', DOMAIN), /^; fully validated$/m, line)
      else if (line.includes('dnssec-dsfromkey')) await delegate(t, registry, (await shell(as(line), options)).out)
      else if (line.includes('fnua doctor')) await remembered(() => shell(as(line), options))
      else return false
      return true
    },
  }
}

/** The agent of the guide's config, and what other guides say it needs. */
async function agentOf(t: Test, host: Host, text: string): Promise<{ agent: ProcessAgent; ca: string }> {
  const authority = new Authority()
  const data = await folder(t)
  const file = async (name: string, text: string) => {
    await writeFile(join(data, name), text, { mode: 0o600 })
    return join(data, name)
  }
  const { cert, key } = authority.issue([`fnaa.${DOMAIN}`, DOMAIN])
  const ca = await file('ca.pem', authority.ca)
  const tls = { cert: await file('cert.pem', cert), key: await file('key.pem', key), ca }
  const where = { domain: DOMAIN, data: join(data, 'agent'), port: 61000, dnsPort: 53, ca, neighbours: {} }
  const [, shown = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(text)!
  const others = ['store-lmdb', 'auth-sasl', 'auth-domainkey', 'broker-embedded', 'broker-fnap', 'runtime-process']
  const more = { data: where.data, tls, administrators: [`alice@${DOMAIN}`], network: { allow: ['203.0.113.0/24'] } }
  const config = shown
    .replace("import dnsBind from '@fnaa/dns-bind'", "$&\nimport { defineConfig } from '@fnaa/core'")
    .replace('export default defineConfig({', `$&\n  ...${JSON.stringify(more)},`)
    .replace(/\/\/ store, auth.*/, others.map((_, i) => `p${i}(),`).join(' '))
  const imports = others.map((name, i) => `import p${i} from '@fnaa/${name}'\n`).join('')
  return { agent: await ProcessAgent.on(t, host, where, imports + config), ca }
}

/** BIND, as its service starts it. */
async function named(t: Test, host: Host): Promise<void> {
  const [program = '', ...args] = [...host.within, 'named', '-g', '-u', 'bind']
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const log: string[] = []
  for await (const line of createInterface({ input: child.stderr! })) {
    log.push(line)
    if (!/all zones loaded/.test(line)) continue
    child.stderr!.resume()
    // Signed, too, by now or in a moment.
    for (const end = Date.now() + 20_000; Date.now() < end; ) {
      const { stdout } = spawnSync(
        host.within[0]!,
        [...host.within.slice(1), 'dig', `@${ADDRESS}`, '+dnssec', 'SOA', DOMAIN],
        {
          encoding: 'utf8',
        },
      )
      if (/RRSIG/.test(stdout)) return
    }
  }
  throw new Error(`named did not start:\n${log.join('\n')}`)
}

/** Until what was absent a moment ago is not remembered as absent any more. */
async function remembered(look: () => ReturnType<typeof shell>): Promise<void> {
  for (const end = Date.now() + 45_000; ; ) {
    const { code, out } = await look()
    if (code === 0) return
    if (Date.now() > end) throw new Error(out)
    await new Promise(resolve => setTimeout(resolve, 1000))
  }
}

/** What the registrar does with the line that it is given. */
async function delegate(t: Test, registry: Bind, said: string): Promise<void> {
  const ds = /IN DS (\d+ \d+ 2 [0-9A-F]+)/.exec(said)?.[1]
  t.ok(ds, said)
  registry.update('org', [
    `update add ${DOMAIN}. 300 NS ns.${DOMAIN}.`,
    `update add ns.${DOMAIN}. 300 A ${ADDRESS}`,
    `update add ${DOMAIN}. 300 DS ${ds}`,
  ])
}

function run({ within }: Host, command: readonly string[], input = ''): void {
  const [program = '', ...args] = [...within, ...command]
  const ran = spawnSync(program, args, { input, encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`${command.join(' ')}: ${ran.error?.message ?? ran.stderr}`)
}
