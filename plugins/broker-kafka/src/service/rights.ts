import type { AccessRequest } from '@fnaa/core/plugin'
import type { AclEntry, AclFilter } from 'kafkajs'

/** A name of the protocol's enums, in kafkajs's numbers. */
const TOPIC = 2
const GROUP = 3
const TRANSACTIONAL_ID = 5
const ANY = 1
const LITERAL = 3
const PREFIXED = 4
const READ = 3
const WRITE = 4
const DESCRIBE = 8
const ALLOW = 3

/** Whatever a user may. */
export const allOf = (user: string): AclFilter => ({
  resourceType: ANY,
  resourcePatternType: ANY,
  principal: `User:${user}`,
  operation: ANY,
  permissionType: ANY,
})

/** What a user gets: its topic; and groups and transactions by its own name, or whose names begin with that and a dot. */
export function rules(user: string, a: AccessRequest): AclEntry[] {
  const entry = (resourceType: number, resourceName: string, operation: number, resourcePatternType = LITERAL) => ({
    resourceType,
    resourceName,
    resourcePatternType,
    principal: `User:${user}`,
    host: '*',
    operation,
    permissionType: ALLOW,
  })
  const own = (type: number, operation: number) => [
    entry(type, user, operation),
    entry(type, `${user}.`, operation, PREFIXED),
  ]
  const writes = a.rights.includes('write')
  return [
    entry(TOPIC, a.queue, DESCRIBE),
    ...(a.rights.includes('read') ? [entry(TOPIC, a.queue, READ)] : []),
    ...(writes ? [entry(TOPIC, a.queue, WRITE)] : []),
    ...own(GROUP, READ),
    ...(writes ? [...own(TRANSACTIONAL_ID, WRITE), ...own(TRANSACTIONAL_ID, DESCRIBE)] : []),
  ]
}

/** Is it the same rule? */
export const same = (a: AclEntry, b: AclEntry) =>
  a.resourceType === b.resourceType &&
  a.resourceName === b.resourceName &&
  a.resourcePatternType === b.resourcePatternType &&
  a.operation === b.operation &&
  a.permissionType === b.permissionType &&
  a.host === b.host
