import { survey } from '@fnaa/client'
import type { Condition, Inside } from './inside.js'

const { broken, command, fine, warning } = survey

/** Seconds by which two clocks may differ before it is said; so long a signed update still holds (RFC 8945 fudge). */
const CLOSE_SECONDS = 5
const LAYERS: Readonly<Record<string, survey.Layer>> = { dns: 'dns', broker: 'broker' }
const NTP = command('timedatectl set-ntp true', 'this machine and the other one')

/** A plugin's word on itself: brokers and name servers are layers of their own, whatever else is ill is the agent. */
export function condition({ kind, id, ok, detail, clockSeconds }: Condition, tell: survey.Tell): void {
  const layer = LAYERS[kind] ?? 'agent'
  if (clockSeconds !== undefined) serverClock(id, clockSeconds, /BADTIME/.test(detail ?? ''), tell)
  if (ok) {
    if (layer !== 'agent')
      tell(fine(layer, kind === 'dns' ? 'write' : 'health', `${id} ${kind === 'dns' ? 'may write names' : 'answers'}`))
    return
  }
  const text = `${id}: ${detail ?? 'it is not well'}`
  if (kind !== 'dns') {
    tell(
      broken(
        layer,
        'health',
        text,
        command(`fnua describe ${kind === 'broker' ? 'broker' : 'agent'} ${id}`, 'this machine; its log says more'),
      ),
    )
    return
  }
  // A clock that is off has been named: the update is refused for nothing else.
  if (!/BADTIME/.test(text)) tell(broken('dns', 'write', text, ...writing(text)))
}

/** What lets names be written again, by what the name server said. */
function writing(text: string): survey.Mend[] {
  if (/BADKEY|BADSIG/.test(text))
    return [
      command(
        'tsig-keygen -a hmac-sha256 <name of the key>',
        "the name server: into named.conf and the plugin's keyFile, then rndc reload",
      ),
    ]
  if (/REFUSED/.test(text))
    return [survey.option('update-policy { grant <key> zonesub PTR SRV TXT; };', 'the zone in named.conf')]
  if (/SERVFAIL/.test(text))
    return [command('chown -R bind: <directory of the zones>', 'the name server: it must write the journal')]
  return [command('systemctl restart named', 'the name server')]
}

function serverClock(id: string, ahead: number, refused: boolean, tell: survey.Tell): void {
  const how = `the clock of the name server of ${id} is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead of' : 'behind'} this one`
  if (refused) tell(broken('clock', 'nameserver', `${how}, so it refuses to have names written (BADTIME)`, NTP))
  else if (Math.abs(ahead) > CLOSE_SECONDS) tell(warning('clock', 'nameserver', how, NTP))
  else tell(fine('clock', 'nameserver', `this clock agrees with the name server of ${id}`))
}

/** The agent's own clock against this machine's. @param now milliseconds since 1970 */
export function timing(inside: Inside, now: number, tell: survey.Tell): void {
  const ahead = Math.round((inside.now - now) / 1000)
  if (Math.abs(ahead) <= CLOSE_SECONDS) return
  const text = `the agent's clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead of' : 'behind'} this machine's`
  tell(broken('clock', 'agent', text, command('systemctl restart fnaad', 'this machine: it goes by another clock')))
}
