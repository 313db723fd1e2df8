import { call } from '../harness.js'
import type { Breakage } from './mutants.js'

export type Named = readonly [name: string, make: () => Breakage]

const c = call()

export const serviceMutants: readonly Named[] = [
  [
    'createQueue always says created',
    () => ({ service: s => ({ createQueue: (...a) => s.createQueue(...a).then(() => 'created') }) }),
  ],
  [
    'createQueue makes an existing queue anew',
    () => ({
      service: s => ({
        async createQueue(queue, spec, c) {
          const found = await s.describeQueue(queue, c)
          if (found) await s.deleteQueue(queue, c)
          await s.createQueue(queue, spec, c)
          return found ? 'exists' : 'created'
        },
      }),
    }),
  ],
  [
    'deleteQueue always says deleted',
    () => ({ service: s => ({ deleteQueue: (...a) => s.deleteQueue(...a).then(() => 'deleted') }) }),
  ],
  [
    'the epoch is the same after the queue was made anew',
    () => ({
      service: s => ({
        describeQueue: (...a) => s.describeQueue(...a).then(found => found && { ...found, epoch: 'always' }),
      }),
    }),
  ],
  [
    'an update changes the epoch',
    () => {
      let updates = ''
      return {
        service: s => ({
          async updateQueue(...a) {
            await s.updateQueue(...a)
            updates += '.'
          },
          describeQueue: (...a) =>
            s.describeQueue(...a).then(found => found && { ...found, epoch: found.epoch + updates }),
        }),
      }
    },
  ],
  [
    'updateQueue changes what it was not given',
    () => ({
      service: s => ({ updateQueue: (queue, spec, c) => s.updateQueue(queue, { maxEventBytes: 7, ...spec }, c) }),
    }),
  ],
  [
    'updateQueue says nothing of what it refused',
    () => ({ service: s => ({ updateQueue: (...a) => s.updateQueue(...a).catch(() => {}) }) }),
  ],
  ['two flows share a queue', () => ({ service: s => ({ queueFor: flow => s.queueFor(flow.replaceAll('.', '-')) }) })],
  [
    'queues differ in case only',
    () => ({
      service: s => ({
        queueFor: flow => s.queueFor(flow.includes('-') ? flow.replaceAll('-', '.').toUpperCase() : flow),
      }),
    }),
  ],
  [
    'an endpoint carries a password',
    () => ({
      service: s => ({
        internal(queue) {
          const { endpoint, credential } = s.internal(queue)
          return { endpoint: { ...endpoint, tls: { servername: 'password' } }, credential }
        },
      }),
    }),
  ],
  ['a grant is made where none can be', () => ({ service: s => ({ grant: async a => s.internal(a.queue) }) })],
  ['no consumer is listed', () => ({ service: () => ({ listConsumers: async () => [] }) })],
  [
    'it goes on after closing',
    () => ({ service: s => ({ describeQueue: (...a) => s.describeQueue(...a).catch(() => null) }) }),
  ],
  [
    'retention forgets to forget',
    () => ({
      service: s => ({
        createQueue: (queue, spec, c) => s.createQueue(queue, { maxEventBytes: spec.maxEventBytes }, c),
      }),
    }),
  ],
  [
    'a queue is lost in a restart',
    () => {
      const made: string[] = []
      return {
        service: s => ({
          async createQueue(queue, ...a) {
            made.push(queue)
            return s.createQueue(queue, ...a)
          },
          async close() {
            for (const queue of made) await s.deleteQueue(queue, c)
            await s.close()
          },
        }),
      }
    },
  ],
]
