import { refusal, type Finding } from '../model/finding.ts'
import { defectsOf, type KeyObservation, type KeyUnreadable } from '../model/key.ts'
import { minuteOf } from '../model/time.ts'
import type { Code } from '../errors.ts'

const UNREADABLE: Readonly<Record<KeyUnreadable, Code>> = {
  'not-found': 'key-not-found',
  deleted: 'key-deleted',
  forbidden: 'key-forbidden',
  unreachable: 'key-vault-unreachable'
}

export function unreadableKey(reason: KeyUnreadable, message: string): Finding {
  return refusal(UNREADABLE[reason], message)
}

/** Who pins a key has this long to rotate off it again, in milliseconds: an expired one stops the API server. */
const LEAST_LIFE = 7 * 86_400_000

/** Whether AKS's KMS plugin can encrypt and decrypt under this key version: RSA, both operations, enabled, within its time for a while. */
export function checkKey(observation: KeyObservation, now: number): readonly Finding[] {
  if (observation.kind === 'unreadable') return [unreadableKey(observation.reason, observation.message)]
  const { id, keyType, keyOperations, notBefore = now, expires = Infinity } = observation.key
  const defects = defectsOf(observation, now)
  const findings: Finding[] = []
  if (!/^RSA(-HSM)?$/.test(keyType)) {
    findings.push(refusal('key-not-rsa', `${id.url} is of type ${keyType}.`))
  } else {
    const missing = ['encrypt', 'decrypt'].filter((operation) => !keyOperations.includes(operation))
    if (missing.length > 0) {
      findings.push(refusal('key-lacks-operations', `${id.url} does not permit ${missing.join(' and ')}.`))
    }
  }
  if (defects.includes('disabled')) findings.push(refusal('key-disabled', `${id.url} is disabled.`))
  if (defects.includes('expired')) {
    findings.push(refusal('key-expired', `${id.url} expired on ${minuteOf(expires)}.`))
  } else if (expires - now < LEAST_LIFE) {
    findings.push(refusal('key-expires-soon', `${id.url} expires on ${minuteOf(expires)}, in less than 7 days.`))
  }
  if (defects.includes('not-yet-valid')) {
    findings.push(refusal('key-not-yet-valid', `${id.url} is not valid before ${minuteOf(notBefore)}.`))
  }
  return findings
}
