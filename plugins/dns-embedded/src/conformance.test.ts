import { dnsSuite } from '@fnaa/conformance'
import { test } from 'tap'
import { dnsEmbedded } from './index.js'

dnsSuite({ test, factory: () => dnsEmbedded({ listen: '127.0.0.1:0' }) })
dnsSuite({
  test: (name, fn) => test(`without keys: ${name}`, fn),
  factory: () => dnsEmbedded({ listen: '127.0.0.1:0', keys: false }),
})
