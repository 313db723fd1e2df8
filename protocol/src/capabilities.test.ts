import { createHash } from 'node:crypto'
import t from 'tap'
import { fails } from './fails.test.helper.js'
import {
  ANNOUNCED_LIMITS,
  capabilitiesBytes,
  capabilitiesHash,
  formatCapabilities,
  parseCapabilities,
} from './index.js'

const C = {
  version: 'FNAP/1',
  starttls: true,
  auth: ['SCRAM-SHA-256', 'PLAIN'],
  brokers: ['fnap', 'kafka'],
  modes: ['copy', 'fnap'],
  processors: [],
  formats: ['text', 'json', 'batch'],
  codecs: ['none', 'gzip'],
  limits: ANNOUNCED_LIMITS,
}

t.test('lines, and back', async t => {
  const lines = formatCapabilities(C)
  t.same(lines, [
    'version=FNAP/1',
    'starttls=yes',
    'auth=SCRAM-SHA-256,PLAIN',
    'brokers=fnap,kafka',
    'modes=copy,fnap',
    'formats=text,json,batch',
    'codecs=none,gzip',
    'limits=line:4096,auth:12288,frame:2097152,event:1048576,body:8388608,text:1024',
  ])
  t.same(parseCapabilities(lines), C)
  for (const line of lines) t.notMatch(line, /220 OK/)
  t.throws(() => formatCapabilities({ ...C, auth: ['a,b'] }), TypeError)
  t.throws(() => formatCapabilities({ ...C, brokers: ['a\r\nb'] }), TypeError)
})

t.test('what others say is taken with care', async t => {
  t.same(
    parseCapabilities([
      'version=FNAP/1',
      'new=x',
      'nonsense',
      'auth=PLAIN,,a b,\x00',
      'limits=line:1,x,__proto__:5,y:z',
    ]),
    {
      version: 'FNAP/1',
      starttls: false,
      auth: ['PLAIN'],
      brokers: [],
      modes: [],
      processors: [],
      formats: [],
      codecs: [],
      limits: { line: 1 },
    },
  )
  fails(t, () => parseCapabilities([]), 'REMOTE')
  fails(t, () => parseCapabilities(['version=FNAP/1', 'auth=PLAIN', 'auth=X']), 'REMOTE', 'twice')
})

t.test('the bytes that are signed', async t => {
  t.equal(capabilitiesBytes(['a=1', 'b=ñ']).toString('hex'), Buffer.from('a=1\r\nb=ñ\r\n').toString('hex'))
  t.same(capabilitiesHash(['a=1']), createHash('sha256').update('a=1\r\n').digest())
  t.notSame(capabilitiesHash(['a=1', 'b=2']), capabilitiesHash(['b=2', 'a=1']), 'in their order')
})
