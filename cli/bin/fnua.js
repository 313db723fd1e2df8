#!/usr/bin/env node
// CommonJS, as is the bundle: an `import` of it would be read for its exports first, which takes longer than to run it.
require('../dist/fnua.cjs')
