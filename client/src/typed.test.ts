import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { shellWord, shortPath, typed } from './typed.js'

t.test('how a program is typed: its name where it is installed, npx in a clone', async t => {
  const bin = { node_modules: { '.bin': { fnua: '' } } }
  const dir = t.testdir({ clone: { ...bin, docs: {} }, usr: { bin: { fnua: '' } } })
  const at = (cwd: string, ...path: string[]) =>
    typed('fnua', { cwd: join(dir, cwd), env: { PATH: path.map(p => join(dir, p)).join(':') } })
  t.equal(at('clone'), 'npx fnua')
  t.equal(at('clone/docs'), 'npx fnua', 'below it too')
  t.equal(at('clone', 'clone/node_modules/.bin'), 'npx fnua', "what npx put into PATH is not in the user's")
  t.equal(at('clone', 'usr/bin'), 'fnua')
  const elsewhere = mkdtempSync(join(tmpdir(), 'fnaad-typed-'))
  t.teardown(() => rmSync(elsewhere, { recursive: true }))
  t.equal(typed('fnua', { cwd: elsewhere, env: {} }), 'fnua', 'nothing is known: its name')
})

t.test('words and paths as a shell takes them', async t => {
  t.equal(shellWord('fnaa.unix.ar:61000'), 'fnaa.unix.ar:61000')
  t.equal(shellWord("it's a file"), "'it'\\''s a file'")
  t.equal(shellWord(''), "''")
  t.equal(shortPath('/a/b/c.yml', '/a'), 'b/c.yml')
  t.equal(shortPath('/a/b/c.yml', '/'), 'a/b/c.yml')
  t.equal(shortPath('/ab/c.yml', '/a'), '/ab/c.yml')
})
