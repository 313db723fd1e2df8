import { loadConfig } from '../config/load.js'
import { surroundings } from '../config/surroundings.js'
import { validate } from '../config/validate.js'

/** `fnaad check`: says the same as a boot would, without booting. @throws ConfigError */
export async function check(path: string): Promise<number> {
  const loaded = await loadConfig(path)
  const { plugins } = await validate(loaded, surroundings)
  process.stdout.write(`${loaded.file}: ok, ${plugins.length} plugins: ${plugins.map(p => p.id).join(', ')}\n`)
  return 0
}
