import type { ClusterSnapshot, RunReport } from '../model/report.ts'
import type { PreparedKind } from '../model/preparation.ts'
import { keyIdOf } from '../model/kms-profile.ts'
import { clustersListed, clustersOutput } from './clusters-output.ts'

/**
 * The action's outputs by name; an empty text where there is nothing to say. The numbers are those of the last proof.
 * `reportPath` is the file of the JSON report, `commentUrl` the plan's comment.
 */
export function outputsOf(report: RunReport, reportPath: string, commentUrl = ''): Record<string, string> {
  const counts = report.proofs.at(-1)?.counts
  const clusters = report.clusters && clustersListed(report)
  return {
    changed: String(report.changed),
    proved: String(report.proved),
    'key-id': prepared(report, 'key'),
    'key-vault-resource-id': prepared(report, 'vault'),
    'identity-resource-id': prepared(report, 'identity'),
    'key-id-before': keyId(report.before),
    'key-id-after': keyId(report.after),
    'security-profile-before': securityProfile(report.before),
    'security-profile-after': securityProfile(report.after),
    'secrets-total': optional(counts?.total),
    'secrets-re-encrypted': optional(counts?.reEncrypted),
    'secrets-already-current': optional(counts?.alreadyCurrent),
    'secrets-failed': optional(counts?.failed),
    'next-rotation-due': report.rotationDueAt ?? '',
    'plan-hash': report.plan?.hash ?? '',
    'comment-url': commentUrl,
    clusters: clusters === undefined ? '' : clustersOutput(clusters),
    'clusters-count': optional(clusters?.length),
    report: reportPath
  }
}

/** Only once all of it is ready. */
function prepared({ result, resources }: RunReport, kind: PreparedKind): string {
  return result === 'done' ? (resources.find((resource) => resource.kind === kind)?.id ?? '') : ''
}

function keyId(snapshot: ClusterSnapshot | undefined): string {
  return snapshot === undefined ? '' : (keyIdOf(snapshot.kms) ?? '')
}

function securityProfile(snapshot: ClusterSnapshot | undefined): string {
  return snapshot === undefined ? '' : JSON.stringify(snapshot.securityProfile)
}

function optional(count: number | undefined): string {
  return count === undefined ? '' : String(count)
}
