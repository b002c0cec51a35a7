import { FIRST_DATA_ENCRYPTION_MINOR } from '../model/cluster.ts'
import { asText, type JsonObject } from '../model/json.ts'
import { minor } from '../model/kubernetes-version.ts'
import { clusterFromBody, showsDataEncryption } from './cluster-body.ts'
import { parseServiceError, refusalToError } from './errors.ts'
import { DATA_ENCRYPTION_API_VERSION } from './managed-clusters.ts'
import { listAll } from './paging.ts'
import type { ResourceManager } from './resource-manager.ts'

export interface ListedCluster {
  readonly body: JsonObject
  /** As far as Azure's preview shows it. */
  readonly dataEncryption: boolean
}

/** The managed clusters that the identity may read. */
export interface ClusterInventory {
  /** All clusters of the resource group, or of the subscription without one. Throws ActionError. */
  list(resourceGroup: string | undefined, signal?: AbortSignal): Promise<readonly ListedCluster[]>
}

export function createClusterInventory(arm: ResourceManager, subscriptionId: string): ClusterInventory {
  return {
    async list(resourceGroup, signal) {
      const [group, where] =
        resourceGroup === undefined
          ? ['', `the subscription ${subscriptionId}`]
          : [`/resourceGroups/${resourceGroup}`, `the resource group ${resourceGroup}`]
      const url = encodeURI(
        `/subscriptions/${subscriptionId}${group}/providers/Microsoft.ContainerService/managedClusters`
      )
      const listing = await listAll(arm, { url, signal })
      if ('refusal' in listing) {
        const { status, body } = listing.refusal
        throw refusalToError(parseServiceError(status, body), `list the clusters of ${where}`, 'azure-request-failed')
      }
      const encrypted = listing.items.some(mayHaveDataEncryption) ? await withDataEncryption(url, signal) : new Set()
      return listing.items.map((body) => ({ body, dataEncryption: encrypted.has(idOf(body)) }))
    }
  }

  /** Ids in lower case; none where the cloud does not have the preview. */
  async function withDataEncryption(url: string, signal: AbortSignal | undefined): Promise<ReadonlySet<string>> {
    const listing = await listAll(arm, { url, apiVersion: DATA_ENCRYPTION_API_VERSION, signal })
    return new Set('items' in listing ? listing.items.filter(showsDataEncryption).map(idOf) : [])
  }
}

function mayHaveDataEncryption(body: JsonObject): boolean {
  return minor(clusterFromBody(body).kubernetesVersion) >= FIRST_DATA_ENCRYPTION_MINOR
}

function idOf(body: JsonObject): string {
  return asText(body['id']).toLowerCase()
}
