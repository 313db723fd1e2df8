import { authSuite } from '@fnaa/conformance'
import { test } from 'tap'
import { sasl } from './index.js'

authSuite({ test, factory: () => sasl({ iterations: 4096, anonymous: true }) })
authSuite({
  test: (name, fn) => test(`SCRAM alone: ${name}`, fn),
  factory: () => sasl({ iterations: 4096, mechanisms: ['SCRAM-SHA-256'] }),
})
