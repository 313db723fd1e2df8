#!/usr/bin/env node
import '../dist/fnua.cjs'
