import { fnapError } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import { isFna } from '../contract/errors.js'
import type { ProcessorType, Run, RunStatus, RuntimeService } from '../contract/processor.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import { queueName } from '../names/names.js'
import { step } from '../resources/steps.js'
import { cursorOf, forgetPlaces, keepPlaces } from './cursors.js'
import { GapCounts } from './gap-counts.js'
import { makeRun } from './make-run.js'
import { allowed, type Plan, type Proc, planOf, sameButSinks } from './plan.js'
import { forgetSources, keepReader } from './reader-place.js'

interface Runtime {
  readonly id: string
  readonly service: RuntimeService
}
/** What the runtime was told last. */
interface Handed {
  readonly epoch: number
  readonly plan: Plan
  readonly desired: string
  /** Without secrets. */
  readonly run: Run
}
/** When a run that failed may start again (milliseconds of the clock), and how often it failed in a row. */
interface Retry {
  readonly failures: number
  readonly at: number
  readonly error: string
}
const RETRY = { base: 100, max: 60_000, calm: 10_000 } as const
/** Runs of one life of the agent are numbered inside its epoch. */
const RUNS = 1_000_000
const ENDED = 'DENIED the right on a flow of this processor has ended'

/** Processors: what moves events. A resource says what is wanted; the controller hands runs to a runtime. */
export class Processors {
  readonly #k: Kernel
  readonly #base: string
  readonly #types = new Map<string, ProcessorType>()
  readonly #runtimes = new Map<string, Runtime>()
  readonly #status = new Map<string, RunStatus>()
  /** What was last handed to the runtime: the same plan is not handed over again. */
  readonly #handed = new Map<string, Handed>()
  readonly #retries = new Map<string, Retry>()
  readonly #gaps: GapCounts
  #runs = 0

  constructor(kernel: Kernel, base: string) {
    this.#k = kernel
    this.#base = base
    this.#gaps = new GapCounts(kernel)
    for (const { plugin, service } of kernel.loaded) {
      if (plugin.manifest.kind === 'processor') {
        const type = service as ProcessorType
        this.#types.set(type.type, type)
      }
      if (plugin.manifest.kind === 'runtime')
        this.#runtimes.set(plugin.id, { id: plugin.id, service: service as RuntimeService })
    }
  }

  get types(): ProcessorType[] {
    return [...this.#types.values()]
  }
  has(type: string): boolean {
    return this.#types.has(type)
  }
  /** The type of the plugin that does a verb (thesis §4.1.4: no plugin, no verb). */
  typeFor(verb: string): ProcessorType | undefined {
    return this.types.find(t => t.verbs.includes(verb))
  }
  get runtime(): string | undefined {
    return this.#runtimes.keys().next().value
  }

  status(id: string): RunStatus | undefined {
    return this.#status.get(id)
  }
  /** Why it has failed, or why nothing passes at this moment: of the run, of one of its sinks, or why none can be. */
  errorOf(id: string): string | undefined {
    const s = this.#status.get(id)
    const sink = Object.values(s?.sinks ?? {}).find(x => x.error)
    return s ? (s.error ?? sink?.error) : this.#k.resources.get('Processor', id)?.status.error
  }
  phaseOf(id: string): RunStatus['phase'] | undefined {
    const p = this.#k.resources.get('Processor', id)
    const handed = this.#handed.get(id)
    const status = this.#status.get(id)
    return p && handed && status?.epoch === handed.epoch ? status.phase : undefined
  }

  /** Listens to what the runtimes report, until the signal aborts. */
  watch(signal: AbortSignal): void {
    for (const runtime of this.#runtimes.values()) void this.#watch(runtime, signal)
  }

  async #watch(runtime: Runtime, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const status of runtime.service.status({ signal })) this.#onStatus(status)
      } catch (e) {
        if (signal.aborted) return
        this.#k.log.warn({ runtime: runtime.id, err: e }, 'runtime: status broke off')
      }
      await this.#k.clock.timer(1000, signal)
    }
  }

  #onStatus(s: RunStatus): void {
    const before = this.#status.get(s.id)
    if (before && before.epoch > s.epoch) return
    if ((s.phase === 'failed' || s.phase === 'gone') && this.#handed.get(s.id)?.epoch === s.epoch) this.#failed(s)
    if (s.phase === 'gone') {
      this.#status.delete(s.id)
      this.#handed.delete(s.id)
    } else this.#status.set(s.id, s)
    this.#gaps.count(s)
    const run = this.#handed.get(s.id)?.run
    if (run?.epoch === s.epoch && s.positions) keepReader(this.#k, run, s.positions)
    const p = s.sinks ? this.#k.resources.get('Processor', s.id) : undefined
    if (p && s.positions) keepPlaces(this.#k, p, s.positions)
    if (before?.phase === s.phase && before.epoch === s.epoch && before.sourceEpoch === s.sourceEpoch) return
    this.#k.queue.add(`Processor/${s.id}`)
    this.#k.queue.add(`Subscription/${s.id}`)
  }

  /** Backs off, unless it ran well for a while. */
  #failed(s: RunStatus): void {
    const now = this.#k.clock.now()
    const before = this.#retries.get(s.id)
    const calm = before !== undefined && now - before.at > RETRY.calm
    const failures = (calm ? 0 : (before?.failures ?? 0)) + 1
    const error = s.error ?? 'FNA_ERR_UNAVAILABLE the processor host has died'
    this.#retries.set(s.id, { failures, at: now + Math.min(RETRY.max, RETRY.base * 2 ** (failures - 1)), error })
    this.#k.log.warn({ processor: s.id, error, failures }, 'processor failed')
  }

  /** The Bridge of a subscription: same name, owned by it. */
  async ensureFor(s: Resource<'Subscription'>, c: Call): Promise<void> {
    const { resources } = this.#k
    const desired = s.spec.desired === 'pause' ? 'pause' : 'run'
    const known = resources.get('Processor', s.name)
    if (!known) {
      const type = this.typeFor('SUBSCRIBE')?.type ?? 'bridge'
      const own = `subscription:${s.name}`
      const ends =
        s.spec.direction === 'in'
          ? { sources: [own], sinks: [s.spec.local] }
          : { sources: [s.spec.local], sinks: [own] }
      const spec = {
        type,
        owner: s.spec.for,
        ...ends,
        from: s.spec.from,
        config: null,
        runtime: this.runtime ?? '',
        desired,
      } as const
      await resources
        .create(
          {
            kind: 'Processor',
            name: s.name,
            spec,
            finalizers: ['fnaad/run'],
            owner: { kind: 'Subscription', name: s.name, uid: s.uid },
            status: { conditions: [], epoch: 0 },
          },
          c,
        )
        .catch(e => (isFna(e, 'FNA_ERR_EXISTS') ? undefined : Promise.reject(e)))
    } else if (known.spec.desired !== desired && known.deleting === undefined) {
      await resources.update('Processor', s.name, p => ({ spec: { ...p.spec, desired } }), c)
    }
    this.#k.queue.add(`Processor/${s.name}`)
  }

  /** Waits until the runtime has what is wanted now, or needs nothing. @returns false where the signal aborts first */
  async applied(id: string, signal: AbortSignal): Promise<boolean> {
    const done = (p: Proc | undefined) => (!p || p.status.applied === p.generation ? true : undefined)
    return (await this.#k.resources.until('Processor', id, done, signal)) ?? false
  }

  /** Resolves when it no longer reads or writes. */
  async remove(id: string, c: Call): Promise<void> {
    const { resources } = this.#k
    if (!resources.get('Processor', id)) return
    await resources.delete('Processor', id, c)
    const gone = await resources.until('Processor', id, p => (p ? undefined : true), c.signal)
    if (!gone) throw new Error(`processor ${id} is not gone yet`)
  }

  /** Stops the processors of users who lost a right on the flow. Resolves when they have stopped. @throws FnapError TIMEOUT */
  async enforce(flow: string, signal: AbortSignal): Promise<void> {
    const { resources, queue } = this.#k
    const over = (p: Proc | undefined) =>
      !p || p.deleting !== undefined || p.spec.desired === 'stop' || p.status.error === ENDED || allowed(this.#k, p)
    const on = resources
      .list('Processor')
      .filter(p => p.owner === undefined && [...p.spec.sources, ...p.spec.sinks].includes(flow))
    const cuts = on.map(async p => {
      queue.add(`Processor/${p.name}`, { urgent: true, preempt: !allowed(this.#k, p) })
      if (!(await resources.until('Processor', p.name, n => over(n) || undefined, signal)))
        throw fnapError('TIMEOUT', `${p.name} the work goes on`)
    })
    await Promise.all(cuts)
  }

  async reconcile(id: string, signal: AbortSignal): Promise<number | undefined> {
    const p = this.#k.resources.get('Processor', id)
    if (!p) return undefined
    const c = { signal, reserve: true }
    const runtime = this.#runtimes.get(p.spec.runtime)
    if (p.deleting !== undefined || p.spec.desired === 'stop') return this.#end(p, runtime, c)
    if (!allowed(this.#k, p)) return this.#refuse(p, runtime, ENDED, c)
    if (!runtime) return this.#report(p, 'failed', 'NOTSUPPORTED the config has no runtime of that name', c)
    const plan = planOf(this.#k, this.#types.get(p.spec.type), p)
    const handed = this.#handed.get(id)
    const failed = this.#status.get(id)?.phase === 'failed'
    const wait = (this.#retries.get(id)?.at ?? 0) - this.#k.clock.now()
    if ((failed || !handed) && wait > 0) {
      await this.#report(p, failed ? 'failed' : 'starting', this.#retries.get(id)?.error, c)
      return wait
    }
    const same = handed !== undefined && JSON.stringify(handed.plan) === JSON.stringify(plan)
    if (!handed || failed) await this.#start(p, runtime, plan, c)
    else if (!same && sameButSinks(handed.plan, plan, p)) await this.#change(p, runtime, plan, handed, c)
    else if (!same) await this.#start(p, runtime, plan, c)
    else if (handed.desired !== p.spec.desired) await this.#turn(p, runtime, handed, c)
    await this.#report(p, this.phaseOf(id) ?? 'starting', this.#status.get(id)?.error, c)
    return undefined
  }

  async #start(p: Proc, runtime: Runtime, plan: Plan, c: Call): Promise<void> {
    const epoch = this.#k.epoch * RUNS + ++this.#runs
    const { run, secrets } = await makeRun({ k: this.#k, p, epoch, base: this.#base, c }, plan)
    this.#handed.set(p.name, { epoch, plan, desired: p.spec.desired, run })
    // Why the run before has failed stands until this one has begun.
    const error = this.errorOf(p.name)
    this.#status.set(p.name, { id: p.name, epoch, phase: 'starting', ...(error === undefined ? {} : { error }) })
    try {
      await runtime.service.ensure(run, secrets, c)
    } catch (e) {
      this.#handed.delete(p.name)
      throw e
    }
    step('subscribe.processor-started')
  }

  /** Other sinks of the same run: those that stay go on undisturbed. */
  async #change(p: Proc, runtime: Runtime, plan: Plan, handed: Handed, c: Call): Promise<void> {
    const now = new Set(plan.ends.map(e => JSON.stringify(e)))
    const kept = handed.plan.ends.filter(e => now.has(JSON.stringify(e))).map(e => e.name)
    const names = new Set(plan.ends.map(e => e.name))
    const gone = handed.plan.ends.filter(e => !names.has(e.name)).map(e => e.name)
    const making = { k: this.#k, p, epoch: handed.epoch, base: this.#base, c, kept: new Set(kept) }
    const { run, secrets } = await makeRun(making, plan)
    try {
      await runtime.service.ensure(run, secrets, c)
    } catch (e) {
      // Which sinks it has now is not known: it is started anew.
      this.#handed.delete(p.name)
      throw e
    }
    this.#handed.set(p.name, { ...handed, plan, desired: p.spec.desired, run })
    for (const name of gone) this.#k.issued.endRun(p.uid, queueName(name))
    await forgetPlaces(this.#k, p, gone, c)
  }

  /** PAUSE and RESUME: the same run goes on, with its position and its credentials. */
  async #turn(p: Proc, runtime: Runtime, handed: Handed, c: Call): Promise<void> {
    const desired = p.spec.desired === 'pause' ? 'pause' : 'run'
    await runtime.service.ensure({ ...handed.run, desired }, {}, c)
    this.#handed.set(p.name, { ...handed, desired: p.spec.desired })
  }

  async #end(p: Proc, runtime: Runtime | undefined, c: Call): Promise<undefined> {
    await this.#stop(p, runtime, c)
    if (p.deleting === undefined) return this.#report(p, 'stopped', undefined, c)
    for (const name of p.spec.sources) {
      const f = this.#k.resources.get('Flow', name)
      if (f) await this.#k.positions.delete(cursorOf(p, f), c)
    }
    await forgetPlaces(this.#k, p, p.spec.sinks, c)
    await forgetSources(this.#k, p, c)
    await this.#k.resources.update('Processor', p.name, () => ({ finalizers: [] }), c, p.uid)
  }

  async #stop(p: Proc, runtime: Runtime | undefined, c: Call): Promise<void> {
    this.#handed.delete(p.name)
    await this.#k.issued.revoke(p.uid, c)
    await runtime?.service.remove(p.name, this.#k.epoch * RUNS + ++this.#runs, c)
    this.#status.delete(p.name)
    this.#retries.delete(p.name)
    this.#gaps.forget(p.name)
  }

  async #refuse(p: Proc, runtime: Runtime | undefined, error: string, c: Call): Promise<undefined> {
    await this.#stop(p, runtime, c)
    return this.#report(p, 'failed', error, c)
  }

  async #report(p: Proc, phase: string, error: string | undefined, c: Call): Promise<undefined> {
    const epoch = this.#handed.get(p.name)?.epoch ?? p.status.epoch
    await this.#k.resources.update(
      'Processor',
      p.name,
      n => {
        const { error: _past, ...status } = n.status
        const more = error === undefined ? {} : { error }
        return { status: { ...status, epoch, phase, applied: p.generation, ...more } }
      },
      c,
      p.uid,
    )
  }
}
