import type { Log } from '../log.ts'
import { RIGHTS_TO_PROVE, type KubernetesRight } from '../model/kubernetes-rights.ts'
import type { Proof } from '../model/secrets.ts'
import { missingOf } from './access-review.ts'
import { Api } from './api.ts'
import { readKubeconfig, type EndpointOptions } from './connection.ts'
import { estimateSecrets } from './listing.ts'
import { acquireLock, type Lock } from './lock.ts'
import { proveSecrets, type ProofOptions } from './proof.ts'
import { findObstacle, type Obstacle } from './readiness.ts'
import { RecordStore } from './record.ts'

/** What runs do in a cluster. */
export interface Kubernetes {
  /** Host and port of the API server. */
  readonly server: string
  readonly record: Pick<RecordStore, 'read' | 'write'>
  readonly lock: { acquire(): Promise<Lock> }
  /** The rights that a proof takes and the credential lacks, asked for once; empty also where it can't be asked. */
  missingRights(): Promise<readonly KubernetesRight[]>
  /** About how many Secrets there are; undefined where it can't be had. */
  countSecrets(): Promise<number | undefined>
  /** `maxRequestsPerSecond` may lower the one of the connection. */
  prove(
    options: Pick<
      ProofOptions,
      'signal' | 'onProgress' | 'writeKey' | 'keyChange' | 'behindMs' | 'maxRequestsPerSecond'
    >
  ): Promise<Proof>
  /** See `findObstacle`. */
  obstacle(): Promise<Obstacle | undefined>
  /** Ends all connections but those of a lock that is still held. */
  close(): void
}

export interface KubernetesOptions extends EndpointOptions {
  /** Where the record and the lock are. */
  readonly namespace: string
  /** Who takes the lock: the run's url. */
  readonly holder: string
  /** See ProofOptions. */
  readonly maxConcurrency: number
  readonly maxRequestsPerSecond: number | undefined
  /** How long the record is tried for, in milliseconds. */
  readonly patience?: number
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * How long the record is tried for unless told, in milliseconds. It is what a run asks for first, before anything is changed: an address that
 * does not answer is told of soon. The passes out-wait a restart of the API servers.
 */
const FIRST_CONTACT = 30_000

/** Reads the kubeconfig, and connects when first used. Throws ActionError `kubeconfig-invalid`. */
export function connectKubernetes(options: KubernetesOptions): Kubernetes {
  const { namespace, holder, maxConcurrency, maxRequestsPerSecond, patience = FIRST_CONTACT, log, signal } = options
  const endpoint = readKubeconfig(options)
  const api = new Api({ endpoint, signal, connections: 1, patience })
  let missing: Promise<readonly KubernetesRight[]> | undefined
  return {
    server: endpoint.server.host,
    record: new RecordStore(api, namespace, log),
    lock: { acquire: () => acquireLock({ endpoint, namespace, holder, signal, log }) },
    missingRights: () => (missing ??= missingOf(RIGHTS_TO_PROVE, api)),
    countSecrets: () => estimateSecrets(api),
    prove: (proof) =>
      proveSecrets({
        endpoint,
        signal,
        log,
        maxConcurrency,
        ...proof,
        maxRequestsPerSecond: lower(maxRequestsPerSecond, proof.maxRequestsPerSecond)
      }),
    obstacle: () => findObstacle({ endpoint, signal }),
    close: () => api.close()
  }
}

function lower(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}
