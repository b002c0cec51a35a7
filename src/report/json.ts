import type { Evidence } from '../model/api-servers.ts'
import type { ClusterStatus } from '../model/cluster-status.ts'
import type { Estimate } from '../model/estimate.ts'
import type { Finding } from '../model/finding.ts'
import type { ApprovalReport, ClusterSnapshot, Plan, ProofReport, RunReport } from '../model/report.ts'
import type { KmsProfile } from '../model/kms-profile.ts'
import type { PreparedResource } from '../model/prepared-resources.ts'
import type { SecretCounts } from '../model/secrets.ts'

/**
 * The report as a JSON document by docs/report.schema.json, with a line feed at the end. Properties are picked one by one, so that
 * their order is always the same and nothing leaves the run that the schema does not name. What is undefined is left out.
 */
export function reportToJson(report: RunReport): string {
  const document = {
    schemaVersion: report.schemaVersion,
    operation: report.operation,
    dryRun: report.dryRun,
    name: report.name,
    cluster: report.cluster,
    run: report.run,
    startedAt: report.startedAt,
    durationMs: report.durationMs,
    result: report.result,
    sentence: report.sentence,
    error: report.error && { code: report.error.code, message: report.error.message, fix: report.error.fix },
    changed: report.changed,
    proved: report.proved,
    rotationDueAt: report.rotationDueAt,
    rotationOverdueSince: report.rotationOverdueSince,
    findings: report.findings.map(finding),
    before: report.before && snapshot(report.before),
    after: report.after && snapshot(report.after),
    keys: report.keys.map(({ keyId, state, sentence }) => ({ keyId, state, sentence })),
    resources: report.resources.map(resource),
    plan: report.plan && plan(report.plan),
    estimate: report.estimate && estimate(report.estimate),
    approval: report.approval && approval(report.approval),
    steps: report.steps.map(({ kind, title, durationMs, result }) => ({ kind, title, durationMs, result })),
    proofs: report.proofs.map(proof),
    clusters: report.clusters?.map(clusterStatus),
    dueOnly: report.dueOnly
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

function finding({ severity, code, message, fix }: Finding): object {
  return { severity, code, message, fix }
}

function clusterStatus({ key, record, ...cluster }: ClusterStatus): object {
  return {
    name: cluster.name,
    id: cluster.id,
    subscriptionId: cluster.subscriptionId,
    resourceGroup: cluster.resourceGroup,
    clusterName: cluster.clusterName,
    location: cluster.location,
    kubernetesVersion: cluster.kubernetesVersion,
    phase: cluster.phase,
    provisioningState: cluster.provisioningState,
    kms: cluster.kms,
    networkAccess: cluster.networkAccess,
    keyId: cluster.keyId,
    key: key && {
      createdAt: key.createdAt,
      expiresAt: key.expiresAt,
      enabled: key.enabled,
      ageDays: key.ageDays,
      newerVersions: key.newerVersions
    },
    dueAt: cluster.dueAt,
    due: cluster.due,
    overdue: cluster.overdue,
    record: record && {
      provedKeyId: record.provedKeyId,
      previousKeyId: record.previousKeyId,
      provedAt: record.provedAt,
      provedBy: record.provedBy,
      unfinished: record.unfinished
    },
    result: cluster.result,
    findings: cluster.findings.map(finding)
  }
}

function snapshot(snapshot: ClusterSnapshot): object {
  const { provisioningState, kubernetesVersion, kms, dataEncryption, keyVersion, securityProfile } = snapshot
  return {
    provisioningState,
    kubernetesVersion,
    kms: profile(kms),
    dataEncryption,
    keyVersion: keyVersion && { createdAt: keyVersion.createdAt, expiresAt: keyVersion.expiresAt },
    securityProfile
  }
}

function profile(kms: KmsProfile): object {
  if (!kms.enabled) return { enabled: false }
  return { enabled: true, keyId: kms.keyId, networkAccess: kms.networkAccess, vaultResourceId: kms.vaultResourceId }
}

function plan({ steps, sentence, refused, hash, basis }: Plan): object {
  const { operation, cluster, keyId, networkAccess, kubernetesMinor, resources, refusals } = basis
  return {
    steps: steps.map(({ kind, title }) => ({ kind, title })),
    sentence,
    refused,
    hash,
    basis: { operation, cluster, keyId, networkAccess, kubernetesMinor, resources, steps: basis.steps, refusals }
  }
}

function estimate({ secrets, minMs, maxMs }: Estimate): Estimate {
  return { secrets, minMs, maxMs }
}

function approval({ hash, url, sentence, diff }: ApprovalReport): object {
  return { hash, url, sentence, diff: diff.map(({ mark, text }) => `${mark} ${text}`) }
}

function resource({ kind, name, id, state, sentence, differences }: PreparedResource): object {
  return {
    kind,
    name,
    id,
    state,
    sentence,
    differences: differences.map(({ code, sentence, fix }) => ({ code, sentence, fix }))
  }
}

function proof({ when, proved, counts, passes, namespaces, evidence, failures }: ProofReport): object {
  return {
    when,
    proved,
    counts: secretCounts(counts),
    passes: passes.map(({ complete, durationMs, counts }) => ({ complete, durationMs, counts: secretCounts(counts) })),
    namespaces: namespaces.map((entry) => ({ namespace: entry.namespace, counts: secretCounts(entry.counts) })),
    evidence: proofEvidence(evidence),
    failures: failures.map(({ namespace, name, permanence, status, reason }) => {
      return { namespace, name, permanence, status, reason }
    })
  }
}

function proofEvidence({ basis, reason, servers, live, connections, waitedMs }: Evidence): object {
  return {
    basis,
    reason,
    live,
    connections,
    waitedMs,
    servers: servers.map(({ id, state, startedAt, keys }) => ({
      id,
      state,
      startedAt,
      keys: keys.map(({ keyIdHash, wanted, provider, lastStatusAt, lastReadAt, lastWriteAt }) => {
        return { keyIdHash, wanted, provider, lastStatusAt, lastReadAt, lastWriteAt }
      })
    }))
  }
}

function secretCounts(counts: SecretCounts): SecretCounts {
  const { total, reEncrypted, alreadyCurrent, gone, failed, failedForGood } = counts
  return { total, reEncrypted, alreadyCurrent, gone, failed, failedForGood }
}
