import { ActionError } from '../errors.ts'
import { sameKeyVersion } from '../model/key-id.ts'
import { keyIdOf, type KmsProfile } from '../model/kms-profile.ts'
import type { ClusterRecord } from '../model/goal.ts'
import type { ProofReport } from '../model/report.ts'
import { summarizeNamespaces, summarizeProof, type Proof } from '../model/secrets.ts'
import type { Step } from '../model/step.ts'
import { progressLine } from '../report/progress.ts'
import type { StepContext, StepDefinition } from './step-definition.ts'

export const proveSecrets: StepDefinition<Extract<Step, { kind: 'prove-secrets' }>> = {
  describe(step, observed) {
    const under = observed.cluster.kms.enabled ? 'the key version in use' : 'no key'
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
    const { kms } = context.observed.cluster
    const proof = await reencrypt(step.when, context)
    if (!proof.proved) throw notProved(proof)
    context.memory.provedProfile = kms
    context.memory.keyChanged = false
    await context.kubernetes.record.write(provedRecord(context, kms))
  }
}

/** Passes until nothing is stale; what they counted goes into the report, whatever came of them. */
export async function reencrypt(when: ProofReport['when'], context: StepContext): Promise<Proof> {
  const { kubernetes, memory, log, signal } = context
  const proof = await kubernetes.prove({
    signal,
    keyChanged: memory.keyChanged,
    onProgress: (progress) => log.info(progressLine(progress))
  })
  const last = proof.passes.at(-1)
  memory.proofs.push({
    when,
    proved: proof.proved,
    counts: summarizeProof(proof),
    passes: proof.passes.map(({ counts, durationMs }) => ({ counts, durationMs })),
    namespaces: summarizeNamespaces(proof),
    failures: last?.failures ?? []
  })
  return proof
}

function provedRecord({ observed, run }: StepContext, kms: KmsProfile): ClusterRecord {
  const { record } = observed
  const proved = keyIdOf(kms) ?? 'identity'
  const isNew = !sameKeyVersion(record.provedKeyId, proved) && record.provedKeyId !== proved
  return {
    ...record,
    provedKeyId: proved,
    previousKeyId: isNew ? record.provedKeyId : record.previousKeyId,
    provedAt: new Date(observed.now).toISOString(),
    provedBy: run
  }
}

function notProved(proof: Proof): ActionError {
  const last = proof.passes.at(-1)
  const failed = last?.counts.failed ?? 0
  if (failed > 0) {
    const named = (last?.failures ?? [])
      .slice(0, 5)
      .map(({ namespace, name, reason }) => `${namespace}/${name} (${reason})`)
    const more = failed > named.length ? `, and ${String(failed - named.length)} more` : ''
    return new ActionError(
      'secrets-failed',
      `${String(failed)} of ${String(last?.counts.total ?? 0)} Secrets could not be re-encrypted: ${named.join('; ')}${more}.`
    )
  }
  const passes = String(proof.passes.length)
  const rewritten = last?.counts.reEncrypted ?? 0
  return new ActionError(
    'secrets-not-settled',
    rewritten > 0
      ? `After ${passes} passes the last one still re-encrypted ${String(rewritten)} Secrets.`
      : `In ${passes} passes no Secret was found under the key of before, so the API servers do not write under the new one yet.`
  )
}
