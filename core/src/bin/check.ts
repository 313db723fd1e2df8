import { loadConfig } from '../config/load.js'
import { surroundings } from '../config/surroundings.js'
import { validate } from '../config/validate.js'

/** `fnaad check`: says the same as a boot would, without booting. @throws ConfigError */
export async function check(path: string): Promise<number> {
  const loaded = await loadConfig(path)
  const { plugins } = await validate(loaded, surroundings)
  for (const p of plugins)
    for (const sentence of p.advice?.() ?? []) process.stderr.write(`warning: plugin '${p.id}': ${sentence}\n`)
  process.stdout.write(`${loaded.file}: ok, ${plugins.length} plugins: ${plugins.map(p => p.id).join(', ')}\n`)
  return 0
}
