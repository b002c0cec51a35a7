import { createHash } from 'node:crypto'
import type { Cluster } from '../model/cluster.ts'
import { refusal } from '../model/finding.ts'
import { canonicalJson, type Json, type JsonObject } from '../model/json.ts'
import { kmsOn, sameKmsProfile, type KmsOn } from '../model/kms-profile.ts'
import { hasCluster, type Observed } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { adviseProfile, checkProfile } from '../preflight/profile.ts'
import type { Request } from '../request.ts'
import { atRest } from './at-rest.ts'
import { proveThenDone, refused, step } from './reach.ts'

/**
 * Create with the KMS profile → prove. A cluster that is there with exactly this profile is taken for the one that an earlier run
 * has begun to create: nothing else tells of that run, as long as there is no API server to keep a record.
 */
export function create(request: Request, observed: Observed): Decision {
  const wanted = wantedBy(request)
  if (wanted === undefined) return refused(refusal('input-missing', '`create` needs `key-id`.'))
  if (!hasCluster(observed)) return createWith(wanted, request, observed)
  const { kms } = observed.cluster
  if (!isCreated(request, observed.cluster)) {
    const how = kms.enabled ? `on, under ${kms.keyId} (${kms.networkAccess})` : 'off'
    return refused(refusal('cluster-exists', `The cluster exists, and KMS etcd encryption is ${how}.`))
  }
  return (
    atRest(observed) ??
    proveThenDone(
      observed,
      'The cluster is there with KMS etcd encryption on, and every Secret is encrypted under the key version.',
      adviseProfile(observed, wanted)
    )
  )
}

/** Whether the cluster is what was asked for. */
export function isCreated(request: Request, cluster: Cluster | undefined): boolean {
  const wanted = wantedBy(request)
  return cluster !== undefined && wanted !== undefined && sameKmsProfile(cluster.kms, wanted)
}

function wantedBy({ key, networkAccess = 'Public', vaultResourceId }: Request): KmsOn | undefined {
  return key && kmsOn(key.url, networkAccess, vaultResourceId)
}

function createWith(profile: KmsOn, { clusterDefinition }: Request, observed: Observed): Decision {
  if (clusterDefinition === undefined || observed.definition === undefined) {
    return refused(refusal('input-missing', '`create` needs `cluster-definition`.'))
  }
  const findings = checkProfile({ ...observed, cluster: observed.definition }, profile)
  if (findings.length > 0) return refused(...findings)
  return step({ kind: 'create-cluster', definitionDigest: digestOf(clusterDefinition), profile })
}

/** SHA-256 in hex. What is secret in a definition is left out: it could be found out by trying. */
function digestOf(definition: JsonObject): string {
  const text = JSON.stringify(definition, (name, value: unknown) => (/password|secret$/i.test(name) ? null : value))
  return createHash('sha256')
    .update(canonicalJson(JSON.parse(text) as Json))
    .digest('hex')
}
