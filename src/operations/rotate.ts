import type { Code } from '../errors.ts'
import { finding, refusal, type Finding } from '../model/finding.ts'
import type { Goal } from '../model/goal.ts'
import { newerUsable } from '../model/key.ts'
import { keyVersionFrom, sameKeyVersion } from '../model/key-id.ts'
import { sameKmsProfile, type KmsOn } from '../model/kms-profile.ts'
import { keyOf, type ObservedCluster } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import { checkDataPlane } from '../preflight/data-plane.ts'
import { unreadableKey } from '../preflight/key.ts'
import { adviseProfile, checkProfile } from '../preflight/profile.ts'
import type { Request } from '../request.ts'
import type { Operation } from './operation.ts'
import { profileWith } from './profile.ts'
import { done, goalUnderWay, proveThenDone, reachProfile, refused, step } from './reach.ts'

/** Choose the key version → preflight → prove → set the profile → prove. Never two rotations in one run. */
export const rotate: Operation = (request, observed) => {
  const { kms } = observed.cluster
  if (!kms.enabled) return refused(refusal('kms-off'))

  const goal = goalUnderWay(observed, 'rotate')
  if (goal !== undefined && sameKmsProfile(kms, goal.kms)) return finish(request, observed, goal)
  if (goal?.kms.enabled === true && agrees(request, goal.kms) && checkProfile(observed, goal.kms).length === 0) {
    return reachProfile(observed, goal, goal.kms, rotated)
  }

  const notDue = dueLater(request, observed, kms)
  if (notDue !== undefined) return done(notDue)

  const keyId = request.key?.url ?? observed.madeKeyId ?? newerVersion(observed, kms)
  if (keyId === undefined) return createVersion(request, observed, kms)
  if (sameKeyVersion(keyId, kms.keyId)) {
    const sentence = 'The cluster already encrypts under this key version.'
    return proveThenDone(observed, sentence, adviseProfile(observed, kms))
  }
  const wanted = profileWith(keyId, request, observed)
  return reachProfile(
    observed,
    { operation: 'rotate', kms: wanted, fromKeyId: kms.keyId, kubernetesVersion: undefined },
    wanted,
    rotated
  )
}

const rotated = { sentence: 'The key is rotated, and every Secret is encrypted under the new key version.' }

/** The new key version is pinned already: what is left is the proof, and no second rotation on top of it. */
function finish(request: Request, observed: ObservedCluster, goal: Goal): Decision {
  const interrupted = observed.goal?.fromEarlierRun === true
  const findings: Finding[] = []
  if (goal.kms.enabled && !agrees(request, goal.kms)) {
    findings.push(
      finding('warning', 'key-not-reached', `Wanted was ${request.key?.url ?? ''}; in use is ${goal.kms.keyId}.`)
    )
  }
  return reachProfile(observed, goal, goal.kms, {
    sentence: interrupted
      ? 'Finished the interrupted rotation: every Secret is encrypted under the new key version.'
      : rotated.sentence,
    findings
  })
}

function agrees(request: Request, profile: KmsOn): boolean {
  return request.key === undefined || sameKeyVersion(request.key.url, profile.keyId)
}

/** The sentence for a key version that is younger than asked for; undefined when a rotation is due. */
function dueLater(request: Request, observed: ObservedCluster, kms: KmsOn): string | undefined {
  const current = keyOf(observed, kms.keyId)
  if (request.maxKeyAge === undefined || current?.kind !== 'readable') return undefined
  const due = current.key.created + request.maxKeyAge
  if (due <= observed.now) return undefined
  return `Not due until ${new Date(due).toISOString().slice(0, 10)}: nothing was touched.`
}

/** The newest usable version of the same key, when the cluster is behind it. */
function newerVersion(observed: ObservedCluster, kms: KmsOn): string | undefined {
  if (observed.keyVersions?.kind !== 'readable') return undefined
  return newerUsable(observed.keyVersions.versions, kms.keyId, observed.now)?.id.url
}

/** What a version in use that can no longer encrypt, or soon not, is refused for; to rotate away from it, it is a reason. */
const ONLY_OF_THIS_VERSION: readonly Code[] = ['key-disabled', 'key-expired', 'key-expires-soon', 'key-not-yet-valid']

/** A new version has the type and the operations of the version in use, so that this one is checked before it is made. */
function createVersion(request: Request, observed: ObservedCluster, kms: KmsOn): Decision {
  const current = keyOf(observed, kms.keyId)
  const pinned = keyVersionFrom(kms.keyId)
  if (current === undefined || pinned === undefined)
    return refused(refusal('key-not-found', `${kms.keyId} was not read.`))
  const findings = [
    ...checkProfile(observed, profileWith(kms.keyId, request, observed)),
    ...checkDataPlane(observed)
  ].filter(({ code }) => !ONLY_OF_THIS_VERSION.includes(code))
  if (findings.length > 0) return refused(...findings)
  if (observed.keyVersions?.kind === 'unreadable') {
    return refused(unreadableKey(observed.keyVersions.reason, observed.keyVersions.message))
  }
  return step({ kind: 'create-key-version', vaultUrl: pinned.vaultUrl, keyName: pinned.name })
}
