import { finding, type Finding } from '../model/finding.ts'
import { keyIdsBefore } from '../model/goal.ts'
import { rotationDueAt, type KeyObservation } from '../model/key.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import { keyOf, type ObservedCluster } from '../model/observed.ts'
import { DAY_MS, durationOf, minuteOf } from '../model/time.ts'
import { maxKeyAgeOf, type Request } from '../request.ts'
import { previousTroubleOf, troubleOf } from './key-in-use.ts'

/** Warnings of what is wrong with the two key versions that AKS holds, or will be. */
export function checkKeysHeld(
  request: Pick<Request, 'maxKeyAge' | 'desired'>,
  observed: Pick<ObservedCluster, 'cluster' | 'keys' | 'record' | 'now' | 'rotationPolicy'>
): readonly Finding[] {
  const { kms } = observed.cluster
  if (!kms.enabled) return []
  const current = keyOf(observed, kms.keyId)
  const [previousKeyId] = keyIdsBefore(observed.record, kms.keyId)
  const previous = previousKeyId === undefined ? undefined : keyOf(observed, previousKeyId)
  const maxKeyAge = maxKeyAgeOf(request)
  return [
    ...[troubleOf(observed), previousTroubleOf(observed)].flatMap((trouble) => trouble?.finding('warning') ?? []),
    ...(maxKeyAge === undefined ? [] : checkExpiries(current, previous, observed.now, maxKeyAge)),
    ...checkPolicy(observed, kms.keyId, maxKeyAge)
  ]
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
  { rotationPolicy }: Pick<ObservedCluster, 'rotationPolicy'>,
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
