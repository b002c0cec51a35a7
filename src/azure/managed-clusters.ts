import { ActionError, ClusterChangedError, type Code } from '../errors.ts'
import { clusterId, type ClusterName } from '../model/cluster.ts'
import { asObject, asObjects, asText, canonicalJson, type JsonObject } from '../model/json.ts'
import { clusterFromBody, showsDataEncryption, type Upgrades } from './cluster-body.ts'
import { operationToError, parseServiceError, type ClusterChange, type ServiceError } from './errors.ts'
import { FIRST_INTERVAL, nextInterval, waitForOperation } from './long-running-operation.ts'
import { pause as realPause, type Pause } from '../pause.ts'
import { expectJson } from './expect-json.ts'
import type { ArmAnswer, ArmRequest, ResourceManager } from './resource-manager.ts'
import { isTransientStatus } from './retry-policy.ts'

/** Shows `kubernetesResourceObjectEncryptionProfile`, which no stable version of the API does. */
export const DATA_ENCRYPTION_API_VERSION = '2025-09-02-preview'

/** How often an update is sent when Azure's answers to it get lost. */
const MAX_UPDATE_ATTEMPTS = 5

/** A managed cluster as Azure Resource Manager shows it. */
export interface ManagedCluster {
  readonly body: JsonObject
  readonly eTag: string | undefined
}

export interface UpdateOptions {
  readonly signal?: AbortSignal | undefined
  /** Gets Azure's own word for the state at every poll, such as `InProgress` or `Updating`. */
  readonly onPoll?: (status: string) => void
}

/**
 * One managed cluster. Every method throws ActionError with the code of what Azure said, `azure-unavailable` after repeated
 * failures to answer, and the signal's reason once it is aborted.
 */
export interface ManagedClusters {
  read(signal?: AbortSignal): Promise<ManagedCluster>
  /** Undefined where there is no such cluster. */
  find(signal?: AbortSignal): Promise<ManagedCluster | undefined>
  /**
   * Creates the cluster with this body and waits until AKS has done so. Throws ClusterChangedError where there is one by now,
   * `cluster-update-rejected` (and more special codes) where AKS refused, `cluster-creation-failed` where it began and failed.
   */
  create(body: JsonObject, options?: UpdateOptions): Promise<void>
  /**
   * Writes the whole body on top of `current` and waits until AKS has carried it out.
   * Throws ClusterChangedError where somebody else's change came between, `cluster-update-rejected` (and more special codes)
   * where AKS refused, `cluster-update-failed` where it began and failed.
   */
  update(current: ManagedCluster, body: JsonObject, options?: UpdateOptions): Promise<void>
  /** Waits until the cluster and its pools are under no operation; throws `cluster-stuck-updating` after `timeout` milliseconds. */
  waitUntilSettled(timeout: number, options?: UpdateOptions): Promise<ManagedCluster>
  upgrades(signal?: AbortSignal): Promise<Upgrades>
  /** Whether the cluster has KMS data encryption; false where Azure does not say. */
  usesDataEncryption(signal?: AbortSignal): Promise<boolean>
  /** Text of a kubeconfig; a `user`'s asks for a Microsoft Entra token by an exec plugin where the cluster uses Entra. */
  kubeconfig(kind: 'user' | 'admin', signal?: AbortSignal): Promise<string>
}

export function createManagedClusters(
  arm: ResourceManager,
  cluster: ClusterName,
  pause: Pause = realPause
): ManagedClusters {
  const url = encodeURI(clusterId(cluster))
  const name = `the cluster ${cluster.name}`

  async function ask(
    attempt: string,
    request: ArmRequest,
    otherwise: Code = 'azure-request-failed'
  ): Promise<JsonObject> {
    return expectJson(await arm.send(request), attempt, otherwise)
  }

  async function read(signal?: AbortSignal): Promise<ManagedCluster> {
    const answer = await arm.send({ method: 'GET', url, signal })
    const body = expectJson(answer, `read ${name}`, 'azure-request-failed')
    const eTag = body['eTag'] ?? answer.headers['etag']
    return { body, eTag: typeof eTag === 'string' ? eTag : undefined }
  }

  async function find(signal?: AbortSignal): Promise<ManagedCluster | undefined> {
    try {
      return await read(signal)
    } catch (error) {
      if (error instanceof ActionError && error.code === 'cluster-not-found') return undefined
      throw error
    }
  }

  /**
   * Sends the body once, or again where the answer was lost and the cluster shows that it did not arrive. A repeat that overtakes a
   * late first one fails on its condition, so that nothing is ever done twice. `current` is undefined for a cluster that is not
   * there yet.
   */
  async function put(
    current: ManagedCluster | undefined,
    body: JsonObject,
    signal: AbortSignal | undefined
  ): Promise<ArmAnswer> {
    // `*` matches any present cluster: a cluster that was deleted meanwhile is not created anew, and one that is there not replaced.
    const headers: Readonly<Record<string, string>> =
      current === undefined ? { 'If-None-Match': '*' } : { 'If-Match': current.eTag ?? '*' }
    for (let attempt = 1, interval = FIRST_INTERVAL; ; attempt++, interval = nextInterval(interval)) {
      const answer = await arm.send({ method: 'PUT', url, headers, body, signal })
      if (answer.status !== 0 && !isTransientStatus(answer.status)) return answer
      if (attempt === MAX_UPDATE_ATTEMPTS) return answer
      await pause(interval, signal)
      if (!same(current, current === undefined ? await find(signal) : await read(signal))) {
        throw new ClusterChangedError(`Azure’s answer was lost, and ${name} has changed since.`)
      }
    }
  }

  /** Waits until AKS has carried out what it accepted. */
  async function follow(accepted: ArmAnswer, change: ClusterChange, options: UpdateOptions): Promise<void> {
    const operation = accepted.headers['azure-asyncoperation']
    if (operation !== undefined) {
      const end = await waitForOperation(arm, operation, {
        signal: options.signal,
        pause,
        onPoll: options.onPoll ?? (() => undefined)
      })
      if (end.kind === 'ended-badly') throw operationToError(end.error, end.status, change)
    }
    const settled = await settle(options, Infinity)
    const { provisioningState } = clusterFromBody(settled.body)
    if (provisioningState === 'Failed' || provisioningState === 'Canceled') {
      throw operationToError(provisioningError(settled.body), provisioningState, change)
    }
  }

  /** Reads until the cluster is under no operation. Azure's failures to answer are waited out. */
  async function settle({ signal, onPoll }: UpdateOptions, deadline: number): Promise<ManagedCluster> {
    for (let interval = FIRST_INTERVAL; ; interval = nextInterval(interval)) {
      const seen = await read(signal).catch(unlessUnavailable)
      if (seen !== undefined) {
        const { phase, provisioningState } = clusterFromBody(seen.body)
        if (phase !== 'changing') return seen
        onPoll?.(provisioningState)
      }
      if (Date.now() + interval > deadline) {
        throw new ActionError('cluster-stuck-updating', `${name} is still under an operation${stateOf(seen)}.`)
      }
      await pause(interval, signal)
    }
  }

  return {
    read,
    find,

    async create(body, options = {}) {
      const answer = await put(undefined, body, options.signal)
      expectJson(answer, `create ${name}`, 'cluster-update-rejected')
      await follow(answer, 'creation', options)
    },

    async update(current, body, options = {}) {
      const answer = await put(current, body, options.signal)
      expectJson(answer, `update ${name}`, 'cluster-update-rejected')
      await follow(answer, 'update', options)
    },

    waitUntilSettled: (timeout, options = {}) => settle(options, Date.now() + timeout),

    async upgrades(signal) {
      const body = await ask(`list the upgrades of ${name}`, {
        method: 'GET',
        url: `${url}/upgradeProfiles/default`,
        signal
      })
      const { controlPlaneProfile, agentPoolProfiles } = asObject(body['properties'])
      const pools = asObjects(agentPoolProfiles)
      return {
        controlPlane: upgradesOf(asObject(controlPlaneProfile)),
        // A list without an entry tells nothing.
        pools: new Map(
          pools
            .map((pool) => [asText(pool['name']), upgradesOf(pool)] as const)
            .filter(([, versions]) => versions.length > 0)
        )
      }
    },

    async usesDataEncryption(signal) {
      const { status, body } = await arm.send({ method: 'GET', url, apiVersion: DATA_ENCRYPTION_API_VERSION, signal })
      return status === 200 && showsDataEncryption(body)
    },

    async kubeconfig(kind, signal) {
      const attempt = `get a kubeconfig of ${name}`
      const path = kind === 'user' ? 'listClusterUserCredential?format=exec' : 'listClusterAdminCredential'
      const body = await ask(attempt, { method: 'POST', url: `${url}/${path}`, signal })
      const value = asObjects(body['kubeconfigs'])[0]?.['value']
      if (typeof value !== 'string') {
        throw new ActionError('azure-request-failed', `Could not ${attempt}: Azure’s answer has none.`)
      }
      return Buffer.from(value, 'base64').toString('utf8')
    }
  }
}

/** Whole bodies are compared: just after a write the eTag may still be the one of before. */
function same(a: ManagedCluster | undefined, b: ManagedCluster | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return canonicalJson(a.body) === canonicalJson(b.body)
}

/** Of a control plane or a node pool; previews are left out. */
function upgradesOf(profile: JsonObject): readonly string[] {
  return asObjects(profile['upgrades'])
    .filter((upgrade) => upgrade['isPreview'] !== true)
    .map((upgrade) => asText(upgrade['kubernetesVersion']))
    .filter((version) => version !== '')
}

function unlessUnavailable(error: unknown): undefined {
  if (error instanceof ActionError && error.code === 'azure-unavailable') return undefined
  throw error
}

function stateOf(cluster: ManagedCluster | undefined): string {
  if (cluster === undefined) return ', as far as Azure answers'
  const { provisioningState, pools } = clusterFromBody(cluster.body)
  const states = [`cluster ${provisioningState}`, ...pools.map((pool) => `${pool.name} ${pool.provisioningState}`)]
  return ` (${states.join(', ')})`
}

/** Why the cluster's last operation failed, where newer clusters say so. */
function provisioningError(body: JsonObject): ServiceError {
  const properties = asObject(body['properties'])
  const status = asObject(properties['status'])
  return parseServiceError(200, status['provisioningError'])
}
