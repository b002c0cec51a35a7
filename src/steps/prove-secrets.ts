import { ActionError } from '../errors.ts'
import type { WriteKey } from '../model/api-servers.ts'
import type { Cluster } from '../model/cluster.ts'
import { sameKeyVersion } from '../model/key-id.ts'
import { FIRST_KMS_V2_MINOR, minor } from '../model/kubernetes-version.ts'
import type { ClusterRecord } from '../model/goal.ts'
import type { ProofReport } from '../model/report.ts'
import { NO_SECRETS, summarizeNamespaces, summarizeProof, type Pass, type Proof } from '../model/secrets.ts'
import type { Step } from '../model/step.ts'
import { KMS_V1_REQUESTS_PER_SECOND, slowUnderKmsV1 } from '../preflight/kms-v1-secrets.ts'
import { progressLine } from '../report/progress.ts'
import { formatDuration, plural } from '../report/text.ts'
import type { StepContext, StepDefinition } from './step-definition.ts'

export const proveSecrets: StepDefinition<Extract<Step, { kind: 'prove-secrets' }>> = {
  describe(step, observed) {
    const under = underWhat(observed.cluster)
    switch (step.when) {
      case 'before-change':
        return `Prove every Secret under ${under}, before anything is changed`
      case 'after-change':
      case 'no-change':
        return `Re-encrypt every Secret until all are proved under ${under}`
    }
  },
  predict(_step, observed) {
    return { ...observed, secretsProved: true }
  },
  async perform(step, context) {
    const { cluster } = context.observed
    const writeKey = writeKeyOf(cluster)
    const proof = await reencrypt(step.when, context, { writeKey })
    if (proof.verdict !== 'proved') throw notProved(proof)
    context.memory.proved = { under: cluster?.kms }
    context.memory.keyChange = undefined
    // A key that has no name here can't be kept.
    if (writeKey.kind !== 'unknown') {
      await (await context.kubernetes()).record.write(provedRecord(context, writeKey))
    }
  }
}

function underWhat(cluster: Cluster | undefined): string {
  switch (writeKeyOf(cluster).kind) {
    case 'unknown':
      return 'what the API servers write under'
    case 'key':
      return 'the key version in use'
    case 'none':
      return 'no key'
  }
}

/** Which version of its key a cluster with KMS data encryption is under is for AKS to know. */
function writeKeyOf(cluster: Cluster | undefined): WriteKey {
  if (cluster === undefined || cluster.dataEncryption !== undefined) return { kind: 'unknown' }
  return cluster.kms.enabled ? { kind: 'key', keyId: cluster.kms.keyId } : { kind: 'none' }
}

/** Passes until nothing is stale; what they counted goes into the report, whatever came of them. Throws what broke them off. */
export async function reencrypt(
  when: ProofReport['when'],
  context: StepContext,
  options: { readonly writeKey: WriteKey; readonly behindMs?: number }
): Promise<Proof> {
  const { memory, log, signal } = context
  const maxRequestsPerSecond = requestRate(context)
  const proof = await (
    await context.kubernetes()
  ).prove({
    ...options,
    signal,
    ...(maxRequestsPerSecond !== undefined && { maxRequestsPerSecond }),
    keyChange: memory.keyChange,
    onProgress: (progress) => log.info(progressLine(progress))
  })
  const { verdict, passes, evidence, brokenOff } = proof
  if (passes.length > 0 || verdict === 'behind') {
    memory.proofs.push({
      when,
      proved: verdict === 'proved',
      counts: summarizeProof(proof),
      passes: passes.map(({ complete, counts, durationMs }) => ({ complete, counts, durationMs })),
      namespaces: summarizeNamespaces(proof),
      evidence,
      failures: passes.at(-1)?.failures ?? []
    })
  }
  if (brokenOff !== undefined) throw brokenOff.error
  return proof
}

/** Most requests in a second; undefined: as many as the run was permitted. */
function requestRate({ observed, log }: StepContext): number | undefined {
  const slow = slowUnderKmsV1(observed)
  const { cluster } = observed
  if (slow === undefined || cluster === undefined || minor(cluster.kubernetesVersion) >= FIRST_KMS_V2_MINOR)
    return undefined
  log.info(slow.message)
  return KMS_V1_REQUESTS_PER_SECOND
}

function provedRecord({ observed, run }: StepContext, writeKey: Exclude<WriteKey, { kind: 'unknown' }>): ClusterRecord {
  const { record } = observed
  const proved = writeKey.kind === 'key' ? writeKey.keyId : 'identity'
  const isNew = !sameKeyVersion(record.provedKeyId, proved) && record.provedKeyId !== proved
  return {
    ...record,
    provedKeyId: proved,
    previousKeyId: isNew ? record.provedKeyId : record.previousKeyId,
    provedAt: new Date(observed.now).toISOString(),
    provedBy: run
  }
}

function notProved({ verdict, passes, evidence }: Proof): ActionError {
  const last = passes.at(-1)
  switch (verdict) {
    case 'failed':
      return new ActionError('secrets-failed', failureSentence(last))
    case 'behind': {
      const behind = evidence.servers.filter(({ state }) => state === 'behind').length
      const waited = `waited for ${formatDuration(evidence.waitedMs)}`
      return new ActionError(
        'api-servers-behind',
        behind > 0
          ? `${String(behind)} of ${plural(evidence.servers.length, 'API server')} did not write under the cluster’s key although this run ${waited}.`
          : `The API servers did not agree on how a Secret is to be written although this run ${waited}.`
      )
    }
    case 'never-stale':
      return new ActionError(
        'kms-v1-never-stale',
        `The key was changed and every API server has taken up the change, but not one of ${plural(last?.counts.total ?? 0, 'Secret')} was stale to them: KMS v1 tells keys apart by the name of their provider alone.`
      )
    case 'proved':
    case 'not-settled':
      return new ActionError('secrets-not-settled', unsettledSentence(passes))
  }
}

function failureSentence(last: Pass | undefined): string {
  const { counts = NO_SECRETS, failures = [] } = last ?? {}
  const named = failures.slice(0, 5).map(({ namespace, name, reason }) => `${namespace}/${name} (${reason})`)
  const more = counts.failed > named.length ? `, and ${String(counts.failed - named.length)} more` : ''
  return `${String(counts.failed)} of ${plural(counts.total, 'Secret')} could not be re-encrypted: ${named.join('; ')}${more}.`
}

function unsettledSentence(passes: readonly Pass[]): string {
  const rewritten = passes.at(-1)?.counts.reEncrypted ?? 0
  return rewritten > 0
    ? `After ${plural(passes.length, 'pass', 'passes')} the last one still re-encrypted ${plural(rewritten, 'Secret')}.`
    : `In ${plural(passes.length, 'pass', 'passes')} no Secret was found under the key of before, so the API servers do not write under the new one yet.`
}
