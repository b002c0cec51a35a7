import { refusal } from '../model/finding.ts'
import type { Cluster } from '../model/cluster.ts'
import type { Goal } from '../model/goal.ts'
import { KMS_OFF } from '../model/kms-profile.ts'
import { compareVersions, FIRST_KMS_V2_MINOR, minor } from '../model/kubernetes-version.ts'
import type { ObservedCluster } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { checkProfile } from '../preflight/profile.ts'
import type { Request } from '../request.ts'
import type { Operation } from './operation.ts'
import { profileWith } from './profile.ts'
import { goalUnderWay, proveThenDone, reachProfile, refused, step } from './reach.ts'

/** AKS upgrades no cluster to 1.27 with KMS v1 on: prove → off → prove → upgrade minor by minor → on → prove. */
export const migrateV2: Operation = (request, observed) => {
  const { cluster } = observed
  // Off in between is this operation's own doing, so that the goal stands whatever the profile says then.
  const recorded = observed.goal?.goal
  const goal =
    goalUnderWay(observed, 'migrate-v2') ??
    (recorded?.operation === 'migrate-v2' && !cluster.kms.enabled ? recorded : undefined)
  return goal === undefined ? begin(request, observed) : goOn(observed, goal)
}

function begin(request: Request, observed: ObservedCluster): Decision {
  const { kms, kubernetesVersion } = observed.cluster
  if (!kms.enabled) return refused(refusal('kms-off'))
  if (minor(kubernetesVersion) >= FIRST_KMS_V2_MINOR) {
    return proveThenDone(observed, `The cluster runs Kubernetes ${kubernetesVersion}, which uses KMS v2 already.`)
  }
  const profile = profileWith(request.key?.url ?? kms.keyId, request, observed)
  const wanted = request.kubernetesVersion ?? `1.${String(FIRST_KMS_V2_MINOR)}`
  return goOn(observed, { operation: 'migrate-v2', kms: profile, fromKeyId: kms.keyId, kubernetesVersion: wanted })
}

function goOn(observed: ObservedCluster, goal: Goal): Decision {
  const { cluster } = observed
  const wanted = goal.kubernetesVersion ?? cluster.kubernetesVersion
  if (isReached(cluster, wanted)) {
    return reachProfile(observed, goal, goal.kms, {
      sentence: `The cluster runs Kubernetes ${cluster.kubernetesVersion} with KMS v2, and every Secret is encrypted under the key version.`
    })
  }
  const next = nextVersion(cluster, wanted)
  const findings = [...checkProfile(observed, goal.kms)]
  if (next === undefined) {
    findings.push(
      refusal(
        'kubernetes-version-unavailable',
        `From ${cluster.kubernetesVersion} AKS offers ${offered(cluster)}; wanted is ${wanted}.`
      )
    )
  }
  if (next === undefined || findings.length > 0) return refused(...findings)
  const off = reachProfile(observed, goal, KMS_OFF, { sentence: '' })
  return off.kind === 'done' ? step({ kind: 'upgrade-kubernetes', version: next }) : off
}

function isReached(cluster: Cluster, wanted: string): boolean {
  return [cluster, ...cluster.pools].every(({ kubernetesVersion }) => compareVersions(kubernetesVersion, wanted) >= 0)
}

/** AKS skips no minor: the wanted version when it is in the next minor, else the newest patch of that minor. */
function nextVersion(cluster: Cluster, wanted: string): string | undefined {
  const current = cluster.kubernetesVersion
  if (compareVersions(current, wanted) >= 0) return current
  const nextMinor = Math.min(minor(current) + 1, minor(wanted))
  const candidates = (cluster.upgrades ?? [nextMinor === minor(wanted) ? wanted : `1.${String(nextMinor)}`]).filter(
    (version) => minor(version) === nextMinor
  )
  const exact =
    nextMinor === minor(wanted) && /^\d+\.\d+\.\d+$/.test(wanted)
      ? candidates.filter((version) => version === wanted)
      : candidates
  return [...exact].sort(compareVersions).at(-1)
}

function offered({ upgrades = [] }: Cluster): string {
  return upgrades.length > 0 ? upgrades.join(', ') : 'nothing'
}
