import { survey } from '@fnaa/client'
import { parseName } from '@fnaa/protocol'
import { loadConfig } from '../config/load.js'
import { serversOf } from '../config/resolvers.js'
import { validate } from '../config/validate.js'
import { examineOther, examineOwn } from '../doctor/operator.js'
import { stopSignal } from './run-agent.js'
import { fnaad, UsageError } from './usage.js'

/**
 * `fnaad doctor`: whether the world finds this agent and may believe it; with a name, whether this agent finds that one.
 * @returns 0 where all layers hold, 1 where one is broken
 */
export async function doctor(
  path: string,
  given: string | undefined,
  opt: { readonly json?: boolean },
): Promise<number> {
  const name = given === undefined ? undefined : nameOf(given)
  const loaded = await loadConfig(path)
  const { config } = await validate(loaded)
  const interrupt = new AbortController()
  void stopSignal().then(() => interrupt.abort())
  const findings: survey.Finding[] = []
  const tell: survey.Tell = f => {
    // The same thing is seen from more than one side.
    if (findings.some(k => k.layer === f.layer && k.check === f.check && k.text === f.text)) return
    findings.push(f)
    if (!opt.json)
      process.stdout.write(
        survey
          .findingLines(f)
          .map(line => `${line}\n`)
          .join(''),
      )
  }
  const look = {
    config,
    servers: serversOf(config),
    signal: interrupt.signal,
    start: `${fnaad()} --config ${loaded.file}`,
  }
  if (name === undefined) await examineOwn(look, tell)
  else await examineOther(look, name, tell)
  const broken = survey.firstBroken(findings)
  const subject = name ?? config.host
  if (opt.json) {
    const value = { name: subject, whole: broken === undefined, broken: broken?.layer ?? null, findings }
    process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
  }
  if (!broken) return 0
  process.stderr.write(`error: ${subject} is broken at ${broken.layer}: ${broken.text}\n`)
  return 1
}

function nameOf(text: string): string {
  try {
    return parseName(text)
  } catch {
    throw new UsageError(`${text} is no name of a flow or namespace, such as flows.example.org`)
  }
}
