import type { ClusterRecord } from './goal.ts'
import { sameKeyVersion } from './key-id.ts'
import { keyIdOf, type KmsProfile } from './kms-profile.ts'
import type { KeyAdvice } from './report.ts'

/**
 * What is to become of each key version that this run knows of. AKS keeps the current key and the one before it, and shows
 * only the current one. Source: learn.microsoft.com/azure/aks/use-kms-etcd-encryption
 */
export function adviseKeys(run: {
  readonly before: KmsProfile
  /** Undefined where Azure knows no cluster. */
  readonly after: KmsProfile | undefined
  /** As it was read at the start of the run. */
  readonly record: ClusterRecord
  readonly proved: boolean
}): readonly KeyAdvice[] {
  const [before, current] = [keyIdOf(run.before), run.after && keyIdOf(run.after)]
  // A record that names another key than the cluster had at the start is out of date, and says nothing of the one before.
  const recorded =
    before === undefined || sameKeyVersion(run.record.provedKeyId, before) ? run.record.previousKeyId : undefined
  const advice: KeyAdvice[] = []
  const add = (keyId: string | undefined, state: KeyAdvice['state'], sentence: string): void => {
    if (keyId?.startsWith('https://') !== true) return
    if (!advice.some((known) => sameKeyVersion(known.keyId, keyId))) advice.push({ keyId, state, sentence })
  }
  if (run.after === undefined) {
    const sentence =
      'The record in the cluster names it: keep it enabled and unexpired. Which key is in use now, Azure was not asked.'
    for (const keyId of [run.record.provedKeyId, run.record.previousKeyId]) add(keyId, 'keep', sentence)
    return advice
  }
  if (!run.proved) {
    const sentence = 'Keep it enabled and unexpired until a run on this cluster has ended green.'
    add(current, 'current', sentence)
    for (const keyId of [before, run.record.provedKeyId, run.record.previousKeyId]) add(keyId, 'keep', sentence)
    return advice
  }
  if (current === undefined) {
    const sentence =
      'Keep it: after KMS is switched off AKS still holds it, and names no point at which it becomes free.'
    for (const keyId of [before, run.record.provedKeyId, run.record.previousKeyId]) add(keyId, 'keep', sentence)
    return advice
  }
  add(current, 'current', 'In use: every Secret is encrypted under it.')
  const keep =
    'AKS keeps it as the previous key: keep it enabled and unexpired until the next rotation has ended green.'
  if (before !== undefined && !sameKeyVersion(before, current)) {
    add(before, 'keep', keep)
    add(recorded, 'may-be-retired', 'No Secret is under it, and AKS keeps it no longer: it may be disabled.')
  } else {
    add(before === undefined ? run.record.provedKeyId : undefined, 'keep', keep)
    add(recorded, 'keep', keep)
  }
  return advice
}
