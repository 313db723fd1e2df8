import t from 'tap'
import { PASSWORD, single, USER } from './support/agents.js'
import { Raw } from './support/raw.js'

const message = (user: string, password: string) => Buffer.from(`\0${user}\0${password}`).toString('base64')

t.test('wrong passwords from 150 connections do not keep a user of another address out', async t => {
  const a = await single(t)
  const flood = await Promise.all(Array.from({ length: 150 }, () => Raw.openFrom(t, a.port, '127.9.9.9')))
  const user = await Raw.open(t, a.port)
  await user.line()
  t.same(await user.say('AUTHENTICATE PLAIN'), ['220 OK'])
  let answers = 0
  let first = () => {}
  const begun = new Promise<void>(resolve => {
    first = resolve
  })
  const outcomes = flood.map(async attacker => {
    await attacker.line()
    const [reply] = await attacker.say(`AUTHENTICATE PLAIN ${message(USER, 'wrong')}`)
    if (reply!.startsWith('401')) answers++
    first()
    return reply!
  })
  await begun
  const before = answers
  t.same(await user.say(message(USER, PASSWORD)), ['220 Authenticated'])
  t.ok(answers - before <= 10, `${answers - before} of the attacker's passwords were checked first`)
  const said = await Promise.all(outcomes)
  t.ok(said.filter(r => r.startsWith('401 AUTHFAILED ')).length >= 8, 'what fits the bound is answered')
  t.ok(said.filter(r => r.startsWith('429 RATE 5 ')).length >= 100, 'what does not is told to come again')
})
