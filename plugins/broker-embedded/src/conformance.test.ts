import { brokerSuite } from '@fnaa/conformance'
import { test } from 'tap'
import { embedded } from './index.js'

brokerSuite({ test, factory: () => embedded() })
