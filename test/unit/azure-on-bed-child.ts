/** Does what it is told with the rooms of src/azure, in a process of its own, through the proxy. Prints what came of it. */
import { getIDToken } from '@actions/core'
import { parseCloud } from '../../src/azure/clouds.ts'
import { clusterFromBody, withKmsProfile } from '../../src/azure/cluster-body.ts'
import { createCredential } from '../../src/azure/credentials.ts'
import { createKeyVault } from '../../src/azure/key-vault.ts'
import { createManagedClusters } from '../../src/azure/managed-clusters.ts'
import { createResourceManager } from '../../src/azure/resource-manager.ts'
import { ActionError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/model/json.ts'

/** What the parent hands over in `TASK`. */
export interface Task {
  readonly cloud: string
  readonly tenantId: string
  readonly clientId: string
  readonly subscriptionId: string
  readonly resourceGroup: string
  readonly cluster: string
  readonly vaultUrl: string
  readonly keyId: string
  readonly do: 'enable and make a version' | 'read' | 'enable on top of what was read before'
}

/** What it prints. */
export type Outcome =
  | {
      readonly before: JsonObject
      readonly after: JsonObject
      readonly states: readonly string[]
      readonly made: string
      readonly versions: number
    }
  | { readonly error: string; readonly code: string; readonly message: string; readonly fix: string }

const task = JSON.parse(process.env['TASK'] ?? '{}') as Task
const cloud = parseCloud(task.cloud)
if (cloud === undefined) throw new Error(`no cloud ${task.cloud}`)
const credential = createCredential({ kind: 'oidc', ...task }, cloud, { getIdToken: getIDToken })
const arm = createResourceManager(credential, cloud, task.subscriptionId)
const clusters = createManagedClusters(arm, { ...task, name: task.cluster })
const keyVault = createKeyVault(credential, cloud)

let outcome: Outcome
try {
  outcome = await perform()
} catch (error) {
  if (!(error instanceof Error)) throw error
  const code = error instanceof ActionError ? error.code : ''
  outcome = { error: error.name, code, message: error.message, fix: error instanceof ActionError ? error.fix : '' }
}
console.log(JSON.stringify(outcome))

async function perform(): Promise<Outcome> {
  const before = await clusters.read()
  const states = new Set<string>()
  if (task.do !== 'read') {
    const current = task.do === 'enable and make a version' ? before : { ...before, eTag: 'stale' }
    const kms = { enabled: true, keyId: task.keyId, networkAccess: 'Public', vaultResourceId: undefined } as const
    await clusters.update(current, withKmsProfile(before.body, kms), { onPoll: (state) => states.add(state) })
  }
  const after = await clusters.waitUntilSettled(60_000)
  if (clusterFromBody(after.body).phase !== 'ready') throw new Error('the cluster is not ready')
  const made = await keyVault.createVersion(task.vaultUrl, 'kms')
  const listed = await keyVault.listVersions(task.vaultUrl, 'kms')
  const read = await keyVault.readKey(made)
  if (read.kind !== 'readable') throw new Error(`the new version is ${read.reason}: ${read.message}`)
  return {
    before: before.body,
    after: after.body,
    states: [...states],
    made: made.url,
    versions: listed.kind === 'readable' ? listed.versions.length : 0
  }
}
