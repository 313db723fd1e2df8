import { accessFlow, getAccess, removeAccess } from './access.js'
import { authenticate } from './authenticate.js'
import { capabilities } from './capabilities.js'
import type { Handler } from './command.js'
import { createFlow } from './create-flow.js'
import { createNamespace } from './create-namespace.js'
import { approve, deny } from './decide.js'
import { deleteFlow } from './delete-flow.js'
import { deleteNamespace } from './delete-namespace.js'
import { describeFlow } from './describe-flow.js'
import { describeNamespace } from './describe-namespace.js'
import { describeSubscription } from './describe-subscription.js'
import { fnapkey } from './fnapkey.js'
import { getFlows } from './get-flows.js'
import { getGrants } from './get-grants.js'
import { getNamespaces } from './get-namespaces.js'
import { getRequests } from './get-requests.js'
import { getSubscribers } from './get-subscribers.js'
import { getSubscriptions } from './get-subscriptions.js'
import { grant } from './grant.js'
import { help } from './help.js'
import {
  describeAgent,
  describeBroker,
  describeNameserver,
  getAgents,
  getBrokers,
  getNameservers,
} from './inventory.js'
import { noop } from './noop.js'
import { notify } from './notify.js'
import { describePeer, getPeers, updatePeer } from './peers.js'
import {
  deleteProcessor,
  describeProcessor,
  getProcessors,
  getProcessorTypes,
  processorSteering,
  updateProcessor,
} from './processors.js'
import { publish } from './publish.js'
import { quit } from './quit.js'
import { readFlow } from './read-flow.js'
import { removeSubscriber } from './remove-subscriber.js'
import { movers } from './replicate.js'
import { revoke } from './revoke.js'
import { starttls } from './starttls.js'
import { steering } from './steer.js'
import { subscribe } from './subscribe.js'
import { unsubscribe } from './unsubscribe.js'
import { updateFlow } from './update-flow.js'
import { updateNamespace } from './update-namespace.js'
import { updateSubscriber } from './update-subscriber.js'
import { updateSubscription } from './update-subscription.js'
import { whoami } from './whoami.js'
import { writeFlow } from './write-flow.js'

const ALL: readonly Handler[] = [
  accessFlow,
  getAccess,
  removeAccess,
  authenticate,
  capabilities,
  createFlow,
  createNamespace,
  approve,
  deny,
  deleteFlow,
  deleteNamespace,
  describeFlow,
  describeNamespace,
  describeSubscription,
  fnapkey,
  getFlows,
  getGrants,
  getNamespaces,
  getRequests,
  getSubscribers,
  getSubscriptions,
  grant,
  help,
  getBrokers,
  describeBroker,
  getNameservers,
  describeNameserver,
  getAgents,
  describeAgent,
  noop,
  notify,
  getPeers,
  describePeer,
  updatePeer,
  getProcessors,
  describeProcessor,
  deleteProcessor,
  updateProcessor,
  getProcessorTypes,
  ...processorSteering,
  publish,
  quit,
  readFlow,
  removeSubscriber,
  ...movers,
  revoke,
  starttls,
  ...steering,
  subscribe,
  unsubscribe,
  updateFlow,
  updateNamespace,
  updateSubscriber,
  updateSubscription,
  whoami,
  writeFlow,
]

/** Every verb that this kernel does, by its id. A Map: `constructor` is an unknown command. */
export const HANDLERS: ReadonlyMap<string, Handler> = new Map(ALL.map(h => [h.id, h]))
