import { EXIT } from './errors.js'
import { GLOBALS } from './settings.js'

/** Help that is about no single command: `fnua help <topic>`. */
export const TOPICS: ReadonlyMap<string, { readonly summary: string; readonly text: () => string }> = new Map([
  ['config', { summary: 'the config file and where it is looked for', text: config }],
  ['environment', { summary: 'variables, and what goes before what', text: environment }],
  ['events', { summary: 'reading and writing events', text: events }],
  ['exit-codes', { summary: 'what an exit code means', text: exitCodes }],
  ['output', { summary: 'formats of -o', text: output }],
])

const EXITS: readonly (readonly [code: number, meaning: string, word: string])[] = [
  [EXIT.ok, 'done', 'done'],
  [EXIT.failed, 'failed, for a reason that has no code of its own', 'failed'],
  [EXIT.usage, 'wrong usage or wrong config (400)', 'wrong usage or config'],
  [EXIT.conflict, 'a conflict with what is there (409)', 'conflict'],
  [EXIT.authentication, 'not logged in, or not allowed, or no longer (401, 403)', 'not allowed'],
  [EXIT.notFound, 'not found, or gone, or not shown to you (404, 410)', 'not found'],
  [EXIT.temporary, 'may work later (421 CLOSING, 429, 500, 502, 503, 504)', 'may work later'],
  [
    EXIT.unreachable,
    'the agent cannot be found or reached, has gone, or does not prove who it is',
    'agent not reached',
  ],
  [EXIT.interrupted, 'ended by Ctrl-C', 'Ctrl-C'],
]

/** The exit codes in one line, below the help of fnua. */
export const exitLine = (): string => `Exit codes: ${EXITS.map(([code, , word]) => `${code} ${word}`).join(', ')}.`

function exitCodes(): string {
  const rows = EXITS.map(([code, what]) => `  ${String(code).padStart(3)}  ${what}`)
  return `Exit codes of fnua:\n\n${rows.join('\n')}\n`
}

function environment(): string {
  const rows = GLOBALS.filter(o => o.env).map(o => `  ${(o.env as string).padEnd(18)}${o.flags.replace(/^-\w, /, '')}`)
  return `An option of the command line goes before its variable, a variable before the config.\n\n${rows.join('\n')}
  FNUA_PASSWORD     the password of --user
  XDG_CONFIG_HOME   where fnua/config.yml is; ~/.config
  NO_COLOR          no colour\n`
}

function config(): string {
  return `fnua reads one config: --config, or the first of
  .flow.yml here or in a directory above, $XDG_CONFIG_HOME/fnua/config.yml, ~/.flow.yml

  nameserver: 127.0.0.1:5300     # who is asked; without it, the system's
  agent: fnaa-unix               # for commands that name no flow
  agents:
    - name: fnaa-unix
      fqdn: fnaa.unix.test       # SRV of this name says where it is …
      address: 127.0.0.1:61000   # … unless it stands here
      nameserver: 127.0.0.1:5300 # who is asked about this agent, where it is another
      username: test
      password: test             # or: fnua login
      prefix: unix.test-         # before a flow's name, where subscribe gets no --local
      ca: ca.pem                 # of an agent with a CA of its own
      tls: required              # STARTTLS on loopback too; implicit: TLS from the first byte
  namespaces:
    - name: flows.unix.test      # flows in here are this agent's
      agent: fnaa-unix

An agent is chosen by --agent, else by the namespace of the flow (or an agent's own domain that holds it), else it is
\`agent:\`, else the only one, else DNS says who owns the flow.
`
}

function events(): string {
  return `fnua read FLOW prints events: a line for a person on a terminal, one CloudEvent in JSON a line in a pipe or with -o json.
  --from earliest | latest | 2026-01-31T12:00:00Z | 10m (ago) | cursor:NAME   (a cursor is kept by the agent)
  --max N, --follow (Ctrl-C ends it with 130)

fnua write FLOW takes one event a line from standard input: a CloudEvent in JSON, other JSON, or text.
  fnua read a.flows.unix.test -o json | fnua write b.flows.unix.test
`
}

function output(): string {
  return `  -o table   columns, and key=value lines of one thing (the default)
  -o json    what the agent knows of it as JSON; events one a line
  -o yaml    the same as YAML
  -o name    names or ids only

Standard output holds data only; all else goes to standard error. -q leaves notes out, -d adds DNS questions and the dialogue.
`
}
