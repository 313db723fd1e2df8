import t from 'tap'
import { fails } from './fails.test.helper.js'
import type { ClientState, ClientStimulus, ServerState, ServerStimulus } from './index.js'
import { clientNext, commandStimulus, serverNext, VERBS } from './index.js'

// Figure 19, written down a second time and by hand: next state, then the effects. 'no' is refused. The columns are the
// states; every pair of a state and a stimulus stands here.
const SERVER_STATES: ServerState[] = ['waiting', 'accepting', 'ready', 'cmdRecvd']
const SERVER_CELLS: Record<ServerStimulus, [string, string, string, string]> = {
  sCon: ['accepting/sConOk', 'no', 'no', 'no'],
  sHello: ['no', 'accepting/sAuthOk,sAuthError', 'no', 'no'],
  sAuthOk: ['no', 'ready/', 'no', 'no'],
  sAuthError: ['no', 'waiting/sFailAuth', 'no', 'no'],
  sCmd: ['no', 'no', 'cmdRecvd/sCmdVerify', 'no'],
  sCmdVerify: ['no', 'no', 'no', 'cmdRecvd/sCmdOk,sCmdError'],
  sCmdOk: ['no', 'no', 'no', 'ready/'],
  sCmdError: ['no', 'no', 'no', 'ready/'],
  sDone: ['no', 'no', 'waiting/', 'no'],
  // Beside the figure.
  sAuthRetry: ['no', 'accepting/sFailAuth', 'no', 'no'],
  sPreCmd: ['no', 'accepting/sPreCmdDone', 'no', 'no'],
  sStartTls: ['no', 'accepting/sTls', 'no', 'no'],
  sQuit: ['no', 'waiting/', 'no', 'no'],
  sLost: ['no', 'waiting/', 'waiting/', 'waiting/'],
}
const CLIENT_STATES: ClientState[] = ['idle', 'conPend', 'connected', 'authenticated', 'cmdPend']
const CLIENT_CELLS: Record<ClientStimulus, [string, string, string, string, string]> = {
  uCon: ['conPend/sCon', 'no', 'no', 'no', 'no'],
  uRetry: ['no', 'conPend/sCon', 'no', 'no', 'no'],
  sConOk: ['no', 'connected/sHello', 'no', 'no', 'no'],
  sAuthOk: ['no', 'no', 'authenticated/', 'no', 'no'],
  sFailAuth: ['no', 'no', 'idle/', 'no', 'no'],
  uCmd: ['no', 'no', 'no', 'cmdPend/sCmd', 'no'],
  sCmdOk: ['no', 'no', 'no', 'no', 'authenticated/'],
  sCmdError: ['no', 'no', 'no', 'no', 'authenticated/'],
  uQuit: ['no', 'no', 'idle/sDone', 'idle/sDone', 'no'],
  // Beside the figure.
  uAuthRetry: ['no', 'no', 'connected/sHello', 'no', 'no'],
  uPreCmd: ['no', 'no', 'connected/sCmd', 'no', 'no'],
  uStartTls: ['no', 'no', 'connected/sTls', 'no', 'no'],
  sLost: ['no', 'idle/', 'idle/', 'idle/', 'idle/'],
}

const show = (step: { next: string; effect: readonly string[] } | null) =>
  step === null ? 'no' : `${step.next}/${step.effect.join(',')}`

t.test('the server, cell by cell', async t => {
  for (const [stimulus, cells] of Object.entries(SERVER_CELLS)) {
    SERVER_STATES.forEach((state, column) => {
      t.equal(show(serverNext(state, stimulus as ServerStimulus)), cells[column], `${state} ${stimulus}`)
    })
  }
})

t.test('the client, cell by cell', async t => {
  for (const [stimulus, cells] of Object.entries(CLIENT_CELLS)) {
    CLIENT_STATES.forEach((state, column) => {
      t.equal(show(clientNext(state, stimulus as ClientStimulus)), cells[column], `${state} ${stimulus}`)
    })
  }
})

t.test('what is no state and no stimulus is refused', async t => {
  for (const word of ['constructor', 'toString', '__proto__', '']) {
    t.equal(serverNext(word as ServerState, 'sCon'), null)
    t.equal(serverNext('ready', word as ServerStimulus), null)
    t.equal(clientNext(word as ClientState, 'uCon'), null)
    t.equal(clientNext('idle', word as ClientStimulus), null)
  }
})

t.test('every verb in every state', async t => {
  const before = new Map([
    ['AUTHENTICATE', 'sHello'],
    ['STARTTLS', 'sStartTls'],
    ['QUIT', 'sQuit'],
    ...['CAPABILITIES', 'HELP', 'NOOP', 'FNAPKEY'].map((id): [string, string] => [id, 'sPreCmd']),
  ])
  for (const verb of VERBS) {
    const expected = before.get(verb.id)
    if (expected) t.equal(commandStimulus(verb, 'accepting'), expected, `${verb.id} before login`)
    else fails(t, () => commandStimulus(verb, 'accepting'), 'AUTHREQUIRED', `${verb.id} before login`)
    if (verb.id === 'AUTHENTICATE' || verb.id === 'STARTTLS') {
      fails(t, () => commandStimulus(verb, 'ready'), 'BADSTATE', `${verb.id} after login`)
    } else t.equal(commandStimulus(verb, 'ready'), verb.id === 'QUIT' ? 'sDone' : 'sCmd', `${verb.id} after login`)
    for (const state of ['waiting', 'cmdRecvd'] as const) {
      fails(t, () => commandStimulus(verb, state), 'BADSTATE', `${verb.id} in ${state}`)
    }
  }
})
