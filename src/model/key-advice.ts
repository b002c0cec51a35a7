import { keyIdsBefore, type ClusterRecord } from './goal.ts'
import { sameKeyVersion } from './key-id.ts'
import { keyIdOf, KMS_OFF, type KmsProfile } from './kms-profile.ts'
import type { KeyAdvice } from './report.ts'

/**
 * What is to become of each key version that this run knows of. AKS keeps the current key and the one before it, and shows
 * only the current one. Source: learn.microsoft.com/azure/aks/use-kms-etcd-encryption
 */
export function adviseKeys(run: {
  /** Those that the cluster had in turn: the first one at the start, the last one now. Empty where Azure knows no cluster. */
  readonly profiles: readonly KmsProfile[]
  /** As it was read at the start of the run. */
  readonly record: ClusterRecord
  readonly proved: boolean
}): readonly KeyAdvice[] {
  const { record } = run
  const current = keyIdOf(run.profiles.at(-1) ?? KMS_OFF)
  const [first] = run.profiles
  const atStart = first && keyIdOf(first)
  const seen = run.profiles.flatMap((profile) => keyIdOf(profile) ?? []).toReversed()
  const advice: KeyAdvice[] = []
  const add = (keyId: string | undefined, state: KeyAdvice['state'], sentence: string): void => {
    if (keyId?.startsWith('https://') !== true) return
    if (!advice.some((known) => sameKeyVersion(known.keyId, keyId))) advice.push({ keyId, state, sentence })
  }
  if (run.profiles.length === 0) {
    const sentence =
      'The record in the cluster names it: keep it enabled and unexpired. Which key is in use now, Azure was not asked.'
    for (const keyId of [record.provedKeyId, record.previousKeyId]) add(keyId, 'keep', sentence)
    return advice
  }
  if (!run.proved) {
    const sentence = 'Keep it enabled and unexpired until a run on this cluster has ended green.'
    add(current, 'current', sentence)
    for (const keyId of [...seen, ...recordedKeys(record)]) add(keyId, 'keep', sentence)
    return advice
  }
  if (current === undefined) {
    const sentence =
      'Keep it: after KMS is switched off AKS still holds it, and names no point at which it becomes free.'
    for (const keyId of [...seen, ...recordedKeys(record)]) add(keyId, 'keep', sentence)
    return advice
  }
  add(current, 'current', 'In use: every Secret is encrypted under it.')
  const keep =
    'AKS keeps it as the previous key: keep it enabled and unexpired until the next rotation has ended green.'
  if (atStart === undefined) {
    // What AKS held before it was switched off it may still hold.
    for (const keyId of [...seen, record.provedKeyId, record.previousKeyId]) add(keyId, 'keep', keep)
    return advice
  }
  const before = [...seen, ...keyIdsBefore(record, atStart)].filter((keyId) => !sameKeyVersion(keyId, current))
  const [previous, ...older] = before
  add(previous, 'keep', keep)
  const free = 'No Secret is under it, and AKS keeps it no longer: it may be disabled.'
  for (const keyId of older) add(keyId, 'may-be-retired', free)
  return advice
}

function recordedKeys({ provedKeyId, previousKeyId, goal }: ClusterRecord): readonly (string | undefined)[] {
  return [provedKeyId, previousKeyId, goal?.fromKeyId, goal?.retiring]
}
