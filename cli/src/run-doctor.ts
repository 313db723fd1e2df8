import { AddressGuard, survey } from '@fnaa/client'
import { caFile, readCa } from './connect.js'
import type { Context } from './context.js'
import { ownView, strangersView } from './doctor-view.js'
import { CliError, EXIT } from './errors.js'
import { document, isDocument } from './output.js'
import { nameGiven, questionsOf } from './run-resolve.js'

/** A finding, and from where it was found: `this machine`, or an agent of the user's. */
export type Seen = survey.Finding & { readonly view: string }

const HERE = 'this machine'

/**
 * `fnua doctor NAME`: DNS, address, TCP, TLS, greeting and key from this machine; then grants and broker as the user's own agent
 * sees them, or, where he has none, as a stranger without a name does.
 * @throws CliError with exit code 1 where a layer is broken
 */
export async function runDoctor(cx: Context, words: readonly string[]): Promise<void> {
  const name = nameGiven(words, 'doctor')
  const findings = new Findings(cx)
  const questions = questionsOf(cx)
  try {
    await look(cx, name, questions, findings)
    cx.interrupt.throwIfAborted()
    await findings.end(name)
  } finally {
    questions.close()
  }
}

async function look(cx: Context, name: string, questions: survey.Questions, findings: Findings): Promise<void> {
  const plan: survey.Plan = {
    questions,
    c: { signal: cx.interrupt },
    now: Date.now,
    guard: new AddressGuard(),
    refused: 'warning',
  }
  const tell = findings.from(HERE)
  const found = await survey.surveyNames(plan, name, tell)
  if (!found) return
  const entry = cx.config.agents.find(a => found.places.some(p => p.host === a.fqdn))
  const file = caFile(cx, entry === undefined ? {} : { entry })
  const ca = file === undefined ? {} : { ca: readCa(file) }
  const connection = await survey.surveyAgent({ ...plan, ...ca }, found, tell)
  if (!connection) return
  try {
    if (!(await survey.surveyKey(plan, found, connection, tell))) return
    const own = await ownView(cx, name, found, findings)
    if (!own) await strangersView(name, found, connection, tell)
  } finally {
    connection.destroy()
  }
}

/** What was found so far; a table is printed as it grows. */
export class Findings {
  readonly all: Seen[] = []
  readonly #cx: Context
  #written: Promise<void> = Promise.resolve()

  constructor(cx: Context) {
    this.#cx = cx
  }

  from(view: string): survey.Tell {
    return finding => {
      this.all.push({ ...finding, view })
      const { output } = this.#cx.settings
      if (isDocument(output) || output === 'name') return
      this.#written = this.#written.then(() => this.#cx.out.write(text(finding, view)))
      this.#written.catch(() => undefined)
    }
  }

  /** @throws CliError where something is broken */
  async end(name: string): Promise<void> {
    const { output } = this.#cx.settings
    const broken = survey.firstBroken(this.all)
    await this.#written
    if (isDocument(output)) {
      const value = { name, whole: broken === undefined, broken: broken?.layer ?? null, findings: this.all }
      await this.#cx.out.write(await document(value, output))
    } else if (output === 'name' && broken) await this.#cx.out.write(`${broken.layer}\n`)
    if (!broken) return
    throw new CliError(`${name} is broken at ${broken.layer}: ${broken.text}`, EXIT.failed)
  }
}

const text = (finding: survey.Finding, view: string): string =>
  survey
    .findingLines(finding, view === HERE ? undefined : view)
    .map(line => `${line}\n`)
    .join('')
