import type { ClusterStatus } from '../model/cluster-status.ts'
import type { RunReport } from '../model/report.ts'

/** GitHub keeps at most 1 MB of a job's outputs. Source: docs.github.com, workflow syntax, jobs.<job_id>.outputs */
const LARGEST = 900_000

/** The clusters that go into the output `clusters`. */
export function clustersListed({ clusters = [], dueOnly }: RunReport): readonly ClusterStatus[] {
  return dueOnly === true ? clusters.filter(({ due }) => due) : clusters
}

/**
 * A JSON array of flat objects by docs/clusters.schema.json, for a matrix; of those that name a cluster and its state alone where
 * the whole would be too large.
 */
export function clustersOutput(clusters: readonly ClusterStatus[], largest = LARGEST): string {
  const whole = JSON.stringify(clusters.map((cluster) => ({ ...nameOf(cluster), ...detailsOf(cluster) })))
  return whole.length <= largest ? whole : JSON.stringify(clusters.map(nameOf))
}

/** Every member is always there: what is not known is an empty text, or null for a number. */
function nameOf(cluster: ClusterStatus): Readonly<Record<string, string | boolean>> {
  return {
    name: cluster.name,
    'subscription-id': cluster.subscriptionId,
    'resource-group': cluster.resourceGroup,
    'cluster-name': cluster.clusterName,
    result: cluster.result,
    due: cluster.due,
    overdue: cluster.overdue
  }
}

function detailsOf({
  key,
  record,
  findings,
  ...cluster
}: ClusterStatus): Readonly<Record<string, string | number | null>> {
  return {
    'due-at': cluster.dueAt ?? '',
    location: cluster.location,
    'kubernetes-version': cluster.kubernetesVersion,
    state: cluster.phase,
    kms: cluster.kms,
    mode: cluster.networkAccess ?? '',
    'key-id': cluster.keyId ?? '',
    'key-created': key?.createdAt ?? '',
    'key-expires': key?.expiresAt ?? '',
    'age-days': key?.ageDays ?? null,
    'newer-versions': key?.newerVersions ?? null,
    'proved-at': record?.provedAt ?? '',
    unfinished: record?.unfinished ?? '',
    findings: [...new Set(findings.map(({ code }) => code))].join(' ')
  }
}
