import { authSuite } from '@fnaa/conformance'
import { test } from 'tap'
import { domainkey } from './index.js'

authSuite({ test, factory: () => domainkey() })
