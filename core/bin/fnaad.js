#!/usr/bin/env node
import '../dist/bin/fnaad.js'
