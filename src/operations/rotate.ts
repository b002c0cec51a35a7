import { finding, refusal, type Finding } from '../model/finding.ts'
import { isFirstOfTwo, type Goal } from '../model/goal.ts'
import { rotationDueAt } from '../model/key.ts'
import { keyVersionFrom, sameKeyVersion } from '../model/key-id.ts'
import { kmsOn, sameKmsProfile, type KmsOn } from '../model/kms-profile.ts'
import { keyOf, type ObservedCluster } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { checkDataPlane } from '../preflight/data-plane.ts'
import { unreadableKey } from '../preflight/key.ts'
import { troubleOf } from '../preflight/key-in-use.ts'
import { adviseProfile, checkProfile } from '../preflight/profile.ts'
import { checkVaultMode } from '../preflight/vault-mode.ts'
import type { Request } from '../request.ts'
import { kmsIsOff } from './kms-is-off.ts'
import { newerVersions } from './newer-versions.ts'
import type { Operation } from './operation.ts'
import { profileWith } from './profile.ts'
import { done, goalUnderWay, isRecorded, proveThenDone, reachProfile, refused, step } from './reach.ts'

/**
 * Choose the key version → preflight → prove → set the profile → prove. Two rotations in one run only where the key version in use
 * is to be retired: both versions are there before the first one, and its proof comes before the second one.
 */
export const rotate: Operation = (request, observed) => {
  const { kms } = observed.cluster
  if (!kms.enabled) return refused(kmsIsOff(observed))
  const trouble = troubleOf(observed)
  if (trouble !== undefined) return refused(trouble.finding('refusal'))

  const goal = goalOf(request, observed)
  if (goal !== undefined && sameKmsProfile(kms, goal.kms)) return finish(request, observed, goal)
  if (
    goal !== undefined &&
    agrees(request, goal) &&
    isInMode(request, goal.kms) &&
    checkProfile(observed, goal.kms).length === 0
  ) {
    return pursue(observed, goal)
  }

  const notDue = dueLater(request, observed, kms)
  if (notDue !== undefined) return done(notDue)

  const retires = request.retirePrevious || goal?.retiring !== undefined
  const keyId = request.key?.url ?? newerVersions(observed, [kms.keyId]).at(retires ? -2 : -1)?.id.url
  if (keyId === undefined) return createVersion(observed, profileWith(kms.keyId, request, observed))
  const wanted = profileWith(keyId, request, observed)
  if (sameKeyVersion(keyId, kms.keyId)) {
    const otherMode = checkVaultMode(kms, wanted)
    if (otherMode.length > 0) return refused(...otherMode)
    const sentence = 'The cluster already encrypts under this key version.'
    return proveThenDone(observed, sentence, adviseProfile(observed, kms))
  }
  return pursue(observed, rotation(wanted, kms.keyId, retires ? kms.keyId : undefined))
}

/** A goal that leaves KMS on. */
type Rotation = Goal & { readonly kms: KmsOn }

function rotation(kms: KmsOn, fromKeyId: string | undefined, retiring: string | undefined): Rotation {
  const goal: Rotation = { operation: 'rotate', kms, fromKeyId, kubernetesVersion: undefined }
  return retiring === undefined ? goal : { ...goal, retiring }
}

/** The goal under way. A single rotation under way is the first of two where its key version of before is to be retired now. */
function goalOf(request: Request, observed: ObservedCluster): Rotation | undefined {
  const goal = goalUnderWay(observed, 'rotate')
  if (goal?.kms.enabled !== true) return undefined
  return rotation(goal.kms, goal.fromKeyId, goal.retiring ?? (request.retirePrevious ? goal.fromKeyId : undefined))
}

/** Whether the key that was asked for, if any, is that of the goal, or the one between the two rotations. */
function agrees({ key }: Request, goal: Rotation): boolean {
  if (key === undefined || sameKeyVersion(key.url, goal.kms.keyId)) return true
  return goal.retiring !== undefined && !isFirstOfTwo(goal) && sameKeyVersion(key.url, goal.fromKeyId)
}

function isInMode({ networkAccess }: Request, profile: KmsOn): boolean {
  return networkAccess === undefined || networkAccess === profile.networkAccess
}

/** The new key version is pinned already: what is left is the proof, and no second rotation on top but the one asked for. */
function finish(request: Request, observed: ObservedCluster, goal: Rotation): Decision {
  const { keyId, networkAccess } = goal.kms
  const findings: Finding[] = []
  if (!agrees(request, goal)) {
    findings.push(finding('warning', 'key-not-reached', `Wanted was ${request.key?.url ?? ''}; in use is ${keyId}.`))
  } else if (!isInMode(request, goal.kms)) {
    findings.push(finding('warning', 'vault-mode-differs', `The vault was attached as ${networkAccess} before.`))
  }
  if (isFirstOfTwo(goal)) return goOnToSecond(observed, goal, findings)
  return reachProfile(observed, goal, goal.kms, { sentence: sentenceOf(goal, observed), findings })
}

/** To the key version of a goal that is not pinned yet. */
function pursue(observed: ObservedCluster, goal: Rotation): Decision {
  if (isFirstOfTwo(goal)) {
    // Whatever keeps the second rotation from being made is to be found before the first one.
    const second = secondOf(observed, goal)
    if (second === undefined) return createVersion(observed, goal.kms)
    const findings = checkProfile(observed, second.kms)
    if (findings.length > 0) return refused(...findings)
  }
  return reachProfile(observed, goal, goal.kms, { sentence: sentenceOf(goal, observed) })
}

/** Prove under the first key version, then on to the second one. */
function goOnToSecond(observed: ObservedCluster, goal: Rotation, findings: readonly Finding[]): Decision {
  if (!isRecorded(observed, goal)) return step({ kind: 'record-goal', goal })
  const first = reachProfile(observed, goal, goal.kms, { sentence: '' })
  if (first.kind !== 'done') return first
  const second = secondOf(observed, goal)
  if (second === undefined) return createVersion(observed, goal.kms)
  return reachProfile(observed, second, second.kms, { sentence: sentenceOf(second, observed), findings })
}

/** The rotation after the first of two; undefined where there is no key version for it yet. */
function secondOf(observed: ObservedCluster, { kms, retiring }: Rotation): Rotation | undefined {
  const newest = newerVersions(observed, [kms.keyId, ...(retiring === undefined ? [] : [retiring])]).at(-1)
  if (newest === undefined) return undefined
  return rotation(kmsOn(newest.id.url, kms.networkAccess, kms.vaultResourceId), kms.keyId, retiring)
}

function sentenceOf({ retiring }: Rotation, observed: ObservedCluster): string {
  if (retiring !== undefined) {
    return `The key is rotated twice, and every Secret is encrypted under the newest key version. AKS holds ${retiring} no longer: it may be disabled now.`
  }
  return observed.goal?.fromEarlierRun === true
    ? 'Finished the interrupted rotation: every Secret is encrypted under the new key version.'
    : 'The key is rotated, and every Secret is encrypted under the new key version.'
}

/** The sentence for a key version that is younger than asked for; undefined when a rotation is due. */
function dueLater(request: Request, observed: ObservedCluster, kms: KmsOn): string | undefined {
  const current = keyOf(observed, kms.keyId)
  if (request.maxKeyAge === undefined || current?.kind !== 'readable') return undefined
  const due = rotationDueAt(current.key, request.maxKeyAge)
  if (due <= observed.now) return undefined
  return `Not due until ${new Date(due).toISOString().slice(0, 10)}: nothing was touched.`
}

/**
 * A new version has the type and the operations of the one in a profile, which is checked before it is made. Of the version in use it
 * does not matter that it expires soon.
 */
function createVersion(observed: ObservedCluster, profile: KmsOn): Decision {
  const key = keyVersionFrom(profile.keyId)
  if (key === undefined) return refused(refusal('key-not-found', `${profile.keyId} names no version.`))
  const { kms } = observed.cluster
  const isInUse = kms.enabled && sameKeyVersion(profile.keyId, kms.keyId)
  const findings = [...checkProfile(observed, profile), ...checkDataPlane(observed, 'make')].filter(
    ({ code }) => !(isInUse && code === 'key-expires-soon')
  )
  if (findings.length > 0) return refused(...findings)
  if (observed.keyVersions?.kind === 'unreadable') {
    return refused(unreadableKey(observed.keyVersions.reason, observed.keyVersions.message))
  }
  return step({ kind: 'create-key-version', vaultUrl: key.vaultUrl, keyName: key.name })
}
