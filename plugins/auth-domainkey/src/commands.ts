import { type AdminCommand, type Ctx, FnaError } from '@fnaa/core/plugin'
import type { KeyRing } from './keyring.js'

/** `fnaad key …` */
export function keyCommands(ctx: Ctx, ring: KeyRing): AdminCommand[] {
  return [
    {
      name: 'key init',
      usage: 'key init [SELECTOR]',
      summary: "make this agent's key where it has none",
      async run(args, _input, c) {
        if (args.length > 1) throw usage('key init [SELECTOR]')
        const made = await ring.init(args[0], c)
        return made ? [`key ${made} made`, ...published(ring)] : ['there is a key already', ...shown(ring)]
      },
    },
    {
      name: 'key show',
      usage: 'key show',
      summary: 'list the keys, and what must stand in DNS',
      async run(args) {
        if (args.length > 0) throw usage('key show')
        return [...shown(ring), ...published(ring)]
      },
    },
    {
      name: 'key rotate',
      usage: 'key rotate',
      summary: 'make the next key; the one before stays valid for a day',
      async run(args, _input, c) {
        if (args.length > 0) throw usage('key rotate')
        const { selector, from } = await ring.rotate(c)
        const minutes = Math.ceil((from - ctx.clock.now()) / 60_000)
        return [
          `key ${selector} made; it signs in ${minutes} minutes, when DNS knows it everywhere`,
          ...published(ring),
        ]
      },
    },
    {
      name: 'key revoke',
      usage: 'key revoke SELECTOR',
      summary: 'publish a key as revoked and forget its secret; a new one takes its place at once',
      async run(args, _input, c) {
        const [selector] = args
        if (args.length !== 1 || selector === undefined) throw usage('key revoke SELECTOR')
        await ring.revoke(selector, c)
        return [`key ${selector} revoked`, ...shown(ring), ...published(ring)]
      },
    },
  ]
}

function shown(ring: KeyRing): string[] {
  return ring.list().map(k => `${k.selector}  ${k.state}  ${k.fingerprint}  since ${new Date(k.created).toISOString()}`)
}

function published(ring: KeyRing): string[] {
  const lines = ring
    .records()
    .flatMap(set => set.records.map(r => `${r.name}. ${r.ttl} IN TXT ${r.type === 'TXT' ? quoted(r.strings) : ''}`))
  return ['in DNS:', ...lines]
}

const quoted = (strings: readonly string[]): string => strings.map(s => `"${s}"`).join(' ')
const usage = (text: string): FnaError => new FnaError('FNA_ERR_INVALID', `usage: ${text}`)
