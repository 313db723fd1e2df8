/** JSON Schema of the config, without its plugins: each of those brings its own. */
const strings = { type: 'array', items: { type: 'string', minLength: 1 } } as const
const seconds = { type: 'integer', minimum: 1, maximum: 315_360_000 } as const
const count = { type: 'integer', minimum: 0, maximum: 10_000_000 } as const
const object = (properties: object, required: readonly string[] = []) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
})
const DOMAIN = '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
/** A pattern is said to the operator by its description and first example. */
const domain = {
  type: 'string',
  maxLength: 253,
  pattern: DOMAIN,
  description: 'a domain name in lower case, of two labels or more',
  examples: ['flows.example.org'],
} as const
const HOST = '(\\[[0-9a-fA-F:.]+\\]|[^:/\\[\\]]+)'

export const CONFIG_SCHEMA = object(
  {
    host: { ...domain, examples: ['fnaa.example.org'] },
    domains: { type: 'array', items: domain, minItems: 1 },
    listen: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'string',
        pattern: `^(tcp|tls)://${HOST}:[0-9]{1,5}$`,
        description: 'tcp://address:port (STARTTLS) or tls://address:port (TLS from the first byte)',
        examples: ['tcp://127.0.0.1:61000'],
      },
    },
    advertise: {
      type: 'string',
      pattern: '^[^:]+:[0-9]{1,5}$',
      description: 'host:port under which others reach the agent',
      examples: ['fnaa.example.org:61000'],
    },
    moved: {
      type: 'string',
      pattern: '^[^:]+:[0-9]{1,5}$',
      description: 'host:port of the place to which the agent has moved: all that asks is sent there',
      examples: ['fnaa2.example.org:61000'],
    },
    addresses: {
      oneOf: [strings, { const: 'interfaces' }],
      description: 'IP addresses, or interfaces for those of this machine',
    },
    data: { type: 'string', minLength: 1 },
    tls: {
      oneOf: [
        object({ cert: { type: 'string' }, key: { type: 'string' }, ca: { type: 'string' } }, ['cert', 'key']),
        object({ development: { type: 'string' } }, ['development']),
      ],
    },
    namespaces: {
      type: 'array',
      items: {
        oneOf: [domain, object({ name: domain, owner: { type: 'string' }, broker: { type: 'string' } }, ['name'])],
      },
    },
    administrators: strings,
    resolver: object({ servers: { ...strings, minItems: 1 }, trustAd: { type: 'boolean' }, trustNetworks: strings }, [
      'servers',
    ]),
    trust: object({
      levels: { type: 'array', items: { enum: ['dnssec', 'pkix'] } },
      dns: { type: 'array', items: domain },
      ca: { type: 'string', minLength: 1, description: 'a PEM file of CAs that vouch for domains' },
    }),
    network: object({ allow: strings }),
    publishEndpoints: { type: 'boolean' },
    limits: object({
      connections: count,
      unauthenticated: count,
      perAddress: count,
      loginSeconds: seconds,
      handshakeSeconds: seconds,
      lineSeconds: seconds,
      idleSeconds: seconds,
      stalledSeconds: seconds,
      linesPerSecond: count,
      domainSubscriptions: count,
      userSubscriptions: count,
      userProcessors: count,
      cursors: count,
      cursorDays: { type: 'integer', minimum: 1, maximum: 3650 },
    }),
    federation: object({
      lease: seconds,
      grace: seconds,
      tombstone: seconds,
      unknownTombstone: seconds,
      pollPending: seconds,
      poll: seconds,
      rotation: seconds,
    }),
    log: object({ level: { enum: ['debug', 'info', 'warn', 'error', 'silent'] } }),
    // Named for whoever misspells it: its value is no JSON.
    plugins: {},
  },
  ['host', 'domains', 'listen', 'data'],
)
