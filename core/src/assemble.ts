import { signalAfter } from '@fnaa/client'
import type { Command } from '@fnaa/protocol'
import type { AuthService } from './contract/auth.js'
import type { Call } from './contract/common.js'
import { BrokerAccess } from './data/broker-access.js'
import { Brokers } from './data/brokers.js'
import { Positions } from './data/positions.js'
import { Issued } from './federation/issued.js'
import { Peers } from './federation/peers.js'
import { Pins } from './federation/pins.js'
import { Provider } from './federation/provider.js'
import { Quotas } from './federation/quotas.js'
import { Subscriptions } from './federation/subscriptions.js'
import { endAccount } from './grants/account.js'
import { Audit } from './grants/audit.js'
import { Authorizer } from './grants/authorizer.js'
import { hashQueue } from './host/hash-queue.js'
import type { Kernel } from './kernel.js'
import { Aliases } from './names/aliases.js'
import { Announcement } from './names/announcement.js'
import { Registrar } from './names/registrar.js'
import { operatorsDial } from './operators-dial.js'
import { Processors } from './processors/processors.js'
import { reconcile } from './resources/controllers.js'
import { WorkQueue } from './resources/queue.js'
import { Resources } from './resources/resources.js'
import { Room } from './resources/room.js'
import { sealed } from './resources/seal.js'
import { run } from './run.js'
import { Listener } from './server/listener.js'
import { mechanismsOf } from './server/mechanisms.js'
import { SessionRegistry } from './server/registry.js'
import type { Session } from './server/session.js'

/** Builds the parts in the order in which they need each other. */
export async function assemble(
  k: { -readonly [K in keyof Kernel]: Kernel[K] },
  base: string,
  key: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const call: Call = { signal }
  k.resources = new Resources(k.store)
  await k.resources.load(call)
  k.aliases = new Aliases(k.resources)
  k.authorizer = new Authorizer(k.resources, k.clock, k.config.administrators ?? [])
  k.audit = new Audit(k.store.bucket('audit'), k.clock, k.log)
  k.sessions = new SessionRegistry()
  k.mechanisms = mechanismsOf(k.loaded)
  k.brokers = new Brokers(k.loaded, { log: k.log, dial: operatorsDial, base })
  k.room = new Room(k.store)
  k.positions = new Positions(k.store.bucket('cursors'), k.clock, k.log, k.limits)
  k.secrets = sealed(k.store.bucket('secrets'), key)
  k.issued = new Issued(
    k.secrets,
    k.clock,
    w => hashQueue.own(w),
    user => k.sessions.cut(s => s.issued?.user === user),
  )
  await k.issued.load(call)
  k.access = new BrokerAccess(k.brokers, k.secrets, k.clock, k.epoch)
  k.listener = new Listener(k, k.certificates)
  k.registrar = new Registrar(k.loaded, { host: k.config.host, port: 0, tls: false, addresses: [] }, k.log)
  k.announcement = new Announcement(k)
  k.provider = new Provider(k)
  k.quotas = new Quotas(k)
  k.peers = new Peers(k)
  k.pins = new Pins(k)
  k.subscriptions = new Subscriptions(k)
  k.processors = new Processors(k, base)
  k.queue = new WorkQueue({
    clock: k.clock,
    signal,
    reconcile: (name, s) => reconcile(k, name, s),
    onError: (name, err, retryMs) => k.log.warn({ key: name, err, retryMs }, 'will be tried again'),
  })
  k.run = (command: Command, session: Session) => run(k, command, session)
  for (const l of k.loaded) {
    if (l.plugin.manifest.kind !== 'auth') continue
    const changed: Parameters<AuthService['watch']>[0] = (principal, key, ended) => {
      if (key !== undefined) {
        k.pins
          .lost(principal, key, ended ? 'revoked' : 'gone')
          .catch(err => k.log.error({ peer: principal, err }, 'a lost key is not noted'))
        return
      }
      k.sessions.cut(s => s.identity?.principal === principal)
      // What stands on the account ends with its password (hardening H7).
      for (const a of k.resources.by('Access', 'who', principal))
        void k.resources.delete('Access', a.name, { ...call, reserve: true }, a.uid).catch(() => undefined)
      if (ended) return endAccount(k as Kernel, principal, { signal: signalAfter(30_000, signal), reserve: true })
    }
    ;(l.service as AuthService).watch(changed, () => k.pins.relied())
  }
}
