import { refusal, type Finding } from '../model/finding.ts'
import type { Cluster, NodePool } from '../model/cluster.ts'
import type { Goal } from '../model/goal.ts'
import { KMS_OFF } from '../model/kms-profile.ts'
import { compareVersions, FIRST_KMS_V2_MINOR, minor } from '../model/kubernetes-version.ts'
import type { ObservedCluster } from '../model/observed.ts'
import type { Decision, Step } from '../model/step.ts'
import { checkProfile } from '../preflight/profile.ts'
import type { Request } from '../request.ts'
import { kmsIsOff } from './kms-is-off.ts'
import type { Operation } from './operation.ts'
import { profileWith } from './profile.ts'
import { goalUnderWay, proveThenDone, reachProfile, refused, step } from './reach.ts'

/**
 * AKS upgrades no cluster to 1.27 with KMS v1 on: prove → off → prove → control plane to 1.27 → on → prove → the rest of the way.
 * Which KMS it is is a matter of the control plane alone, so that the Secrets lie without a key for no longer than that takes.
 */
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
  if (!kms.enabled) return refused(kmsIsOff(observed))
  if (runsKmsV2(observed.cluster)) {
    return proveThenDone(observed, `The cluster runs Kubernetes ${kubernetesVersion}, which uses KMS v2 already.`)
  }
  const profile = profileWith(request.key?.url ?? kms.keyId, request, observed)
  const wanted = request.kubernetesVersion ?? `1.${String(FIRST_KMS_V2_MINOR)}`
  return goOn(observed, { operation: 'migrate-v2', kms: profile, fromKeyId: kms.keyId, kubernetesVersion: wanted })
}

function goOn(observed: ObservedCluster, goal: Goal): Decision {
  const { cluster } = observed
  const wanted = goal.kubernetesVersion ?? cluster.kubernetesVersion
  if (runsKmsV2(cluster)) {
    const on = reachProfile(observed, goal, goal.kms, {
      sentence: `The cluster runs Kubernetes ${cluster.kubernetesVersion} with KMS v2, and every Secret is encrypted under the key version.`
    })
    return on.kind !== 'done' || isReached(cluster, wanted) ? on : upgrade(cluster, wanted)
  }
  const next = upgrade(cluster, wanted)
  const findings = [...checkProfile(observed, goal.kms), ...(next.kind === 'refused' ? next.findings : [])]
  if (findings.length > 0) return refused(...findings)
  const off = reachProfile(observed, goal, KMS_OFF, { sentence: '' })
  return off.kind === 'done' ? next : off
}

function runsKmsV2({ kubernetesVersion }: Cluster): boolean {
  return minor(kubernetesVersion) >= FIRST_KMS_V2_MINOR
}

function isReached(cluster: Cluster, wanted: string): boolean {
  return [cluster, ...cluster.pools].every(({ kubernetesVersion }) => compareVersions(kubernetesVersion, wanted) >= 0)
}

/** How many minors a node pool may be behind the control plane. Source: learn.microsoft.com/azure/aks/upgrade-node-pools */
const MOST_BEHIND = 2

/** The control plane first, one minor at a time; node pools when it is there, or when they would fall too far behind. */
function upgrade(cluster: Cluster, wanted: string): Decision {
  const { kubernetesVersion, pools } = cluster
  if (compareVersions(kubernetesVersion, wanted) >= 0) {
    return upgradePools(
      pools.filter((pool) => compareVersions(pool.kubernetesVersion, wanted) < 0),
      kubernetesVersion
    )
  }
  const version = nextVersion(cluster, wanted)
  if (version === undefined) {
    return refused(
      unavailable(`From ${kubernetesVersion} AKS offers ${inWords(cluster.upgrades)}; wanted is ${wanted}.`)
    )
  }
  const tooOld = pools.filter((pool) => minor(version) - minor(pool.kubernetesVersion) > MOST_BEHIND)
  if (tooOld.length > 0) return upgradePools(tooOld, kubernetesVersion)
  return step({ kind: 'upgrade-control-plane', version })
}

/** AKS skips no minor of the control plane: the wanted version when it is in the next minor, else the newest patch of that minor. */
function nextVersion(cluster: Cluster, wanted: string): string | undefined {
  const nextMinor = Math.min(minor(cluster.kubernetesVersion) + 1, minor(wanted))
  const candidates = (cluster.upgrades ?? [nextMinor === minor(wanted) ? wanted : `1.${String(nextMinor)}`]).filter(
    (version) => minor(version) === nextMinor
  )
  const exact =
    nextMinor === minor(wanted) && /^\d+\.\d+\.\d+$/.test(wanted)
      ? candidates.filter((version) => version === wanted)
      : candidates
  return [...exact].sort(compareVersions).at(-1)
}

/** To the control plane's version, or as far towards it as AKS offers. */
function upgradePools(pools: readonly NodePool[], controlPlane: string): Decision {
  const versions: Record<string, string> = {}
  const findings: Finding[] = []
  for (const { name, kubernetesVersion, upgrades = [controlPlane] } of pools) {
    const [version] = upgrades
      .filter((one) => compareVersions(one, controlPlane) <= 0)
      .sort(compareVersions)
      .reverse()
    if (version !== undefined) versions[name] = version
    else {
      findings.push(
        unavailable(
          `For the node pool ${name} AKS offers ${inWords(upgrades)} from ${kubernetesVersion}; the control plane runs ${controlPlane}.`
        )
      )
    }
  }
  if (findings.length > 0) return refused(...findings)
  return step({ kind: 'upgrade-node-pools', versions } satisfies Step)
}

function unavailable(message: string): Finding {
  return refusal('kubernetes-version-unavailable', message)
}

function inWords(upgrades: readonly string[] = []): string {
  return upgrades.length > 0 ? upgrades.join(', ') : 'nothing'
}
