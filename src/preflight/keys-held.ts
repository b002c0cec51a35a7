import { finding, type Finding } from '../model/finding.ts'
import { keyIdsBefore } from '../model/goal.ts'
import { defectsOf, rotationDueAt, type KeyDefect, type KeyObservation } from '../model/key.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import { keyOf, type ObservedCluster } from '../model/observed.ts'
import { DAY_MS, durationOf, minuteOf } from '../model/time.ts'
import { maxKeyAgeOf, type Request } from '../request.ts'
import { describe, troubleOf } from './key-in-use.ts'

/** Warnings of what is wrong with the two key versions that AKS holds, or will be. */
export function checkKeysHeld(request: Request, observed: ObservedCluster): readonly Finding[] {
  const { kms } = observed.cluster
  if (!kms.enabled) return []
  const current = keyOf(observed, kms.keyId)
  const [previousKeyId] = keyIdsBefore(observed.record, kms.keyId)
  const previous = previousKeyId === undefined ? undefined : keyOf(observed, previousKeyId)
  const maxKeyAge = maxKeyAgeOf(request)
  const trouble = troubleOf(observed)
  return [
    ...(trouble === undefined ? [] : [trouble.finding('warning')]),
    ...(previous === undefined ? [] : checkPrevious(previous, observed.now)),
    ...(maxKeyAge === undefined ? [] : checkExpiries(current, previous, observed.now, maxKeyAge)),
    ...checkPolicy(observed, kms.keyId, maxKeyAge)
  ]
}

function checkPrevious(previous: KeyObservation, now: number): readonly Finding[] {
  const defects = defectsOf(previous, now)
  if (defects.length === 0) return []
  const message = `The key version before the one in use ${describe(previous, now)} AKS still holds it, and an API server that starts anew may not become ready.`
  const rotation = 'run `rotate`: after it AKS holds this key version no longer.'
  const remedy = remedyOf(defects, previous)
  const fix = remedy === undefined ? `R${rotation.slice(1)}` : `Make it usable again, \`${remedy}\`; or ${rotation}`
  return [finding('warning', 'previous-key-unusable', message, fix)]
}

function remedyOf(defects: readonly KeyDefect[], observation: KeyObservation): string | undefined {
  const { url, vaultName, name } = observation.kind === 'readable' ? observation.key.id : observation.id
  if (defects.includes('not-found')) return undefined
  if (defects.includes('deleted')) return `az keyvault key recover --vault-name ${vaultName} --name ${name}`
  const options: Readonly<Partial<Record<KeyDefect, string>>> = {
    disabled: '--enabled true',
    expired: '--expires <UTC time>',
    'not-yet-valid': '--not-before <UTC time>'
  }
  return ['az keyvault key set-attributes --id', url, ...defects.map((defect) => options[defect] ?? '')].join(' ')
}

/** Both key versions have to last until a rotation off the current one has ended. */
function checkExpiries(
  current: KeyObservation | undefined,
  previous: KeyObservation | undefined,
  now: number,
  maxKeyAge: number
): readonly Finding[] {
  if (current?.kind !== 'readable') return []
  const due = rotationDueAt(current.key, maxKeyAge)
  const held: readonly [string, KeyObservation | undefined][] = [
    ['The key version in use', current],
    ['The key version before the one in use, which AKS still holds,', previous]
  ]
  return held.flatMap(([which, observation]) => {
    if (observation?.kind !== 'readable') return []
    const { id, expires = Infinity } = observation.key
    if (expires <= now || expires > due) return []
    const message = `${which} expires on ${minuteOf(expires)}, before the next rotation is due on ${minuteOf(due)}: ${id.url}.`
    return [finding('warning', 'key-expires-before-rotation', message)]
  })
}

/** A version is current until the next rotation and held until the one after, which is twice the age. */
function checkPolicy(
  { rotationPolicy }: ObservedCluster,
  keyId: string,
  maxKeyAge: number | undefined
): readonly Finding[] {
  const key = keyVersionFrom(keyId)
  const life = durationOf(rotationPolicy?.expiresAfter ?? '')
  if (key === undefined || life === undefined) return []
  if (maxKeyAge !== undefined && life > 2 * maxKeyAge) return []
  const days = Math.round(life / DAY_MS)
  const message = `By its rotation policy each new version of the key ${key.vaultUrl}/keys/${key.name} expires ${String(days)} days after its creation. AKS goes to no newer version by itself, and holds each one until the rotation after the next.`
  const fix = `Take the expiry out of the rotation policy, or rotate on a daily schedule with \`max-key-age\` below ${String(Math.floor(days / 2))}d.`
  return [finding('warning', 'key-policy-expires-versions', message, fix)]
}
