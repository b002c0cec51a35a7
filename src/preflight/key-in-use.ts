import { finding, type Finding } from '../model/finding.ts'
import { keyIdsBefore } from '../model/goal.ts'
import { defectsOf, type KeyObservation, type KeyDefect } from '../model/key.ts'
import { keyOf, type ObservedCluster } from '../model/observed.ts'
import { minuteOf } from '../model/time.ts'

type HeldKeys = Pick<ObservedCluster, 'cluster' | 'keys' | 'now'>

/** A key version that AKS holds, and that can't be used any more. */
export interface KeyTrouble {
  readonly keyId: string
  /** At least one. */
  readonly defects: readonly KeyDefect[]
  /** Nothing in the vault can mend it. */
  readonly isLost: boolean
  finding(severity: Finding['severity']): Finding
}

/** What is wrong with the key version that a cluster encrypts under; undefined where nothing is, as far as can be seen. */
export function troubleOf(observed: HeldKeys): KeyTrouble | undefined {
  const { kms } = observed.cluster
  const broken = kms.enabled ? brokenKey(observed, kms.keyId) : undefined
  if (broken === undefined) return undefined
  const { keyId, isLost, words } = broken
  return {
    ...broken,
    finding(severity) {
      const what = `The key version in use ${isLost ? `is not in its vault any more: ${keyId}.` : words}`
      return finding(severity, isLost ? 'current-key-lost' : 'current-key-unusable', `${what} ${EFFECT}`)
    }
  }
}

/** The same of the key version before it, which AKS holds too, and which only the record knows. */
export function previousTroubleOf(observed: HeldKeys & Pick<ObservedCluster, 'record'>): KeyTrouble | undefined {
  const { kms } = observed.cluster
  const [previousKeyId] = kms.enabled ? keyIdsBefore(observed.record, kms.keyId) : []
  const broken = previousKeyId === undefined ? undefined : brokenKey(observed, previousKeyId)
  if (broken === undefined) return undefined
  return {
    ...broken,
    finding(severity) {
      const message = `The key version before the one in use ${broken.words} AKS still holds it, and an API server that starts anew does not become ready.`
      const rotation = 'run `rotate`: after it AKS holds this key version no longer.'
      const fix =
        broken.remedy === undefined
          ? `R${rotation.slice(1)}`
          : `Make it usable again, \`${broken.remedy}\`; or ${rotation}`
      return finding(severity, 'previous-key-unusable', message, fix)
    }
  }
}

/**
 * The API servers ask their KMS plugins every minute, and these try their keys at Key Vault. 3 minutes after the last success an API
 * server writes no Secret any more. One that has had no success since its start reads none either.
 * Sources: Azure/kubernetes-kms, pkg/plugin/keyvault.go; k8s.io/apiserver/pkg/server/options/encryptionconfig/config.go
 */
const EFFECT =
  'Within minutes no API server can write a Secret, and one that starts anew can’t read any and does not become ready.'

interface BrokenKey extends Omit<KeyTrouble, 'finding'> {
  readonly words: string
  /** The command that mends it; undefined where none does. */
  readonly remedy: string | undefined
}

function brokenKey(observed: HeldKeys, keyId: string): BrokenKey | undefined {
  const key = keyOf(observed, keyId)
  const defects = key === undefined ? [] : defectsOf(key, observed.now)
  if (key === undefined || defects.length === 0) return undefined
  const isLost = defects.includes('not-found')
  return { keyId, defects, isLost, words: defectsInWords(key, observed.now), remedy: remedyOf(defects, key) }
}

/** `expired on 2026-10-01 12:00 UTC: https://….`, with all that is wrong. */
export function defectsInWords(observation: KeyObservation, now: number): string {
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

const OPTIONS: Readonly<Partial<Record<KeyDefect, string>>> = {
  disabled: '--enabled true',
  expired: '--expires <UTC time>',
  'not-yet-valid': '--not-before <UTC time>'
}

function remedyOf(defects: readonly KeyDefect[], observation: KeyObservation): string | undefined {
  const { url, vaultName, name } = observation.kind === 'readable' ? observation.key.id : observation.id
  if (defects.includes('not-found')) return undefined
  if (defects.includes('deleted')) return `az keyvault key recover --vault-name ${vaultName} --name ${name}`
  return ['az keyvault key set-attributes --id', url, ...defects.map((defect) => OPTIONS[defect] ?? '')].join(' ')
}
