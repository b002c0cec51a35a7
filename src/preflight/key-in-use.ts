import { finding, type Finding } from '../model/finding.ts'
import { defectsOf, type KeyObservation, type KeyDefect } from '../model/key.ts'
import { keyOf, type ObservedCluster } from '../model/observed.ts'
import { minuteOf } from '../model/time.ts'

/** What is wrong with the key version that a cluster encrypts under; undefined where nothing is, as far as can be seen. */
export function troubleOf(observed: ObservedCluster): KeyTrouble | undefined {
  const { kms } = observed.cluster
  const key = kms.enabled ? keyOf(observed, kms.keyId) : undefined
  if (!kms.enabled || key === undefined) return undefined
  const defects = defectsOf(key, observed.now)
  if (defects.length === 0) return undefined
  const isLost = defects.includes('not-found')
  return {
    keyId: kms.keyId,
    defects,
    isLost,
    finding(severity) {
      const what = `The key version in use ${isLost ? `is not in its vault any more: ${kms.keyId}.` : describe(key, observed.now)}`
      return finding(severity, isLost ? 'current-key-lost' : 'current-key-unusable', `${what} ${EFFECT}`)
    }
  }
}

export interface KeyTrouble {
  readonly keyId: string
  /** At least one. */
  readonly defects: readonly KeyDefect[]
  /** Nothing in the vault can mend it. */
  readonly isLost: boolean
  finding(severity: Finding['severity']): Finding
}

/** `expired on 2026-10-01 12:00 UTC: https://…`, with all that is wrong. */
export function describe(observation: KeyObservation, now: number): string {
  if (observation.kind === 'unreadable')
    return `is ${observation.reason}: ${observation.id.url}. ${observation.message}`
  const { id, expires = now, notBefore = now, updated } = observation.key
  const words = defectsOf(observation, now).map((defect) => {
    switch (defect) {
      case 'disabled':
        return `is disabled${updated === undefined ? '' : ` since ${minuteOf(updated)} at the latest`}`
      case 'expired':
        return `expired on ${minuteOf(expires)}`
      case 'not-yet-valid':
        return `is not valid before ${minuteOf(notBefore)}`
      case 'deleted':
      case 'not-found':
        return defect
    }
  })
  return `${words.join(' and ')}: ${id.url}.`
}

/**
 * The API servers ask their KMS plugin every minute, and it tries the key at Key Vault. 3 minutes after the last success they write
 * no Secret any more. One that has had no success since its start reads none either.
 * Sources: Azure/kubernetes-kms, pkg/plugin/keyvault.go; k8s.io/apiserver/pkg/server/options/encryptionconfig/config.go
 */
const EFFECT =
  'Within minutes no API server can write a Secret, and one that starts anew can’t read any and does not become ready.'
