import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { ServiceClientConstructor, ServiceDefinition } from '@grpc/grpc-js'

const require = createRequire(import.meta.url)

/** grpc.health.v1.Health, from its .proto. */
export function healthDefinition(): ServiceDefinition {
  const grpc = require('@grpc/grpc-js') as typeof import('@grpc/grpc-js')
  const loader = require('@grpc/proto-loader') as typeof import('@grpc/proto-loader')
  const file = fileURLToPath(new URL('./health.proto', import.meta.url))
  const pkg = grpc.loadPackageDefinition(loader.loadSync(file, { enums: String, defaults: true })) as unknown as {
    grpc: { health: { v1: { Health: ServiceClientConstructor } } }
  }
  return pkg.grpc.health.v1.Health.service
}
