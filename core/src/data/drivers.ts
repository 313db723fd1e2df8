import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { Driver } from '../contract/broker.js'
import { FnaError } from '../contract/errors.js'

const loaded = new Map<string, Promise<Driver>>()

/**
 * The one loader of drivers: for the kernel's READ and WRITE and for the processor host. `specifier` is a file URL, or a
 * module name that is looked up from `base` (a file: the operator's config).
 * @throws FNA_ERR_CONFIG where there is no such module, or its default export is no driver
 */
export function loadDriver(specifier: string, base?: string): Promise<Driver> {
  const url = driverUrl(specifier, base)
  const known = loaded.get(url)
  if (known) return known
  const driver = load(url)
  loaded.set(url, driver)
  driver.catch(() => loaded.delete(url))
  return driver
}

/** The file URL of a driver's module. */
export function driverUrl(specifier: string, base?: string): string {
  if (specifier.startsWith('file:')) return specifier
  try {
    return pathToFileURL(createRequire(base ?? import.meta.url).resolve(specifier)).href
  } catch (e) {
    throw new FnaError(
      'FNA_ERR_CONFIG',
      `the driver ${specifier} is not installed: install its package beside the config`,
      {
        cause: e,
      },
    )
  }
}

async function load(url: string): Promise<Driver> {
  const module = (await import(url)) as { default?: Driver }
  if (typeof module.default?.open !== 'function') {
    throw new FnaError('FNA_ERR_CONFIG', `the module ${url} has no driver as its default export`)
  }
  return module.default
}
