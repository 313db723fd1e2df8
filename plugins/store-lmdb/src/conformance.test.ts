import { storeSuite } from '@fnaa/conformance'
import { test } from 'tap'
import { storeLmdb } from './index.js'

storeSuite({ test, factory: () => storeLmdb() })
