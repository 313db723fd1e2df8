/** Called at every named step between two durable acts; a kill test makes it end the process there. */
export type StepHook = (name: string) => unknown
let hook: StepHook | undefined

/** For tests only: what happens at each step. */
export function onStep(h: StepHook | undefined): void {
  hook = h
}

/** A place at which a crash must leave nothing half-made. Costs a comparison when no test listens. */
export function step(name: string): void {
  hook?.(name)
}

/** Every step that there is, in the order of the work: the kill test goes through them all. */
export const STEPS = [
  'flow.create.stored',
  'flow.create.absent-seen',
  'flow.create.queue-made',
  'flow.create.naming',
  'flow.create.named',
  'flow.create.ready',
  'flow.delete.marked',
  'flow.delete.subscribers-cut',
  'flow.delete.unnamed',
  'flow.delete.queue-gone',
  'flow.delete.gone',
  'subscribe.stored',
  'subscribe.requested',
  'subscribe.local-ready',
  'subscribe.agreed',
  'subscribe.secret-kept',
  'subscribe.endpoint-kept',
  'subscribe.processor-stored',
  'subscribe.processor-started',
  'subscribe.active',
  'subscriber.stored',
  'subscriber.positioned',
  'subscriber.issued',
  'subscriber.ready',
  'access.stored',
  'access.granted',
  'access.ready',
  'access.cut',
  'subscriber.queue-absent',
  'subscriber.queue-made',
  'subscriber.marked',
  'subscriber.fed',
  'subscriber.cut-access',
  'subscriber.cut-feed',
  'subscriber.cut-queue',
  'unsubscribe.marked',
  'unsubscribe.processor-gone',
  'unsubscribe.told',
  'unsubscribe.gone',
  'subscriber.cut-sessions',
  'subscriber.cut-credential',
  'subscriber.cut-position',
  'subscriber.tombstone',
  'namespace.create.read',
  'namespace.create.delegated',
  'namespace.delete.undelegated',
] as const
