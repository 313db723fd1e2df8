#!/usr/bin/env node
import '../dist/bundle/bin/fnaad.js'
