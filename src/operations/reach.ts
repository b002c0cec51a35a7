import { canonicalJson, type Json } from '../model/json.ts'
import type { Cluster } from '../model/cluster.ts'
import type { Finding } from '../model/finding.ts'
import type { Goal } from '../model/goal.ts'
import { sameKeyVersion } from '../model/key-id.ts'
import { keyIdOf, sameKmsProfile, type KmsProfile } from '../model/kms-profile.ts'
import type { Observed, ObservedCluster } from '../model/observed.ts'
import type { Decision, Step } from '../model/step.ts'
import { troubleOf } from '../preflight/key-in-use.ts'
import { adviseProfile, checkProfile } from '../preflight/profile.ts'

export function step(step: Step): Decision {
  return { kind: 'step', step }
}

export function refused(...findings: readonly Finding[]): Decision {
  return { kind: 'refused', findings }
}

export function done(sentence: string, findings: readonly Finding[] = []): Decision {
  return { kind: 'done', sentence, findings }
}

/** Azure shows a new profile before it is live, so that only a cluster at rest has it in force. */
export function inForce(cluster: Cluster, profile: KmsProfile): boolean {
  return cluster.phase === 'ready' && sameKmsProfile(cluster.kms, profile)
}

/**
 * The operation's goal from the record, if it still fits what is observed: the cluster must be at its start or at its end.
 * Anything else means that somebody changed the cluster in between, and the record is out of date.
 */
export function goalUnderWay(observed: ObservedCluster, operation: string): Goal | undefined {
  const goal = observed.goal?.goal
  return goal?.operation === operation && fits(observed.cluster, goal) ? goal : undefined
}

/** Whether the cluster is at the start of the goal or at its end. */
export function fits({ kms }: Cluster, goal: Goal): boolean {
  const current = keyIdOf(kms)
  return sameKey(current, goal.fromKeyId) || sameKey(current, keyIdOf(goal.kms))
}

/** Every Secret proved, and nothing else to do. */
export function proveThenDone(observed: Observed, sentence: string, findings: readonly Finding[] = []): Decision {
  if (!observed.secretsProved) return step({ kind: 'prove-secrets', when: 'no-change' })
  return done(sentence, findings)
}

/**
 * From wherever the cluster is to the goal's profile: preflight, record the goal, prove, set, prove.
 * No key change without a proof before it, and none is over without a proof after it.
 */
export function reachProfile(
  observed: ObservedCluster,
  goal: Goal,
  profile: KmsProfile,
  end: { readonly sentence: string; readonly findings?: readonly Finding[] }
): Decision {
  if (inForce(observed.cluster, profile)) {
    if (!observed.secretsProved) return step({ kind: 'prove-secrets', when: 'after-change' })
    return done(end.sentence, [...(end.findings ?? []), ...adviseProfile(observed, profile)])
  }
  const findings = checkProfile(observed, profile)
  if (findings.length > 0) return refused(...findings)
  // Every change of the profile starts the API servers anew, and what they have in memory of the key in use is gone then.
  const trouble = troubleOf(observed)
  if (trouble !== undefined) return refused(trouble.finding('refusal'))
  if (!isRecorded(observed, goal)) return step({ kind: 'record-goal', goal })
  if (!observed.secretsProved) return step({ kind: 'prove-secrets', when: 'before-change' })
  return step({ kind: 'set-kms-profile', profile })
}

export function isRecorded(observed: Observed, goal: Goal): boolean {
  return observed.goal !== undefined && canonical(observed.goal.goal) === canonical(goal)
}

function canonical(goal: Goal): string {
  return canonicalJson(JSON.parse(JSON.stringify(goal)) as Json)
}

function sameKey(a: string | undefined, b: string | undefined): boolean {
  return a === b || sameKeyVersion(a, b)
}
