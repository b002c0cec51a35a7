import type { Evidence } from './api-servers.ts'

/**
 * What became of one Secret in one pass. Told apart by resourceVersion: an answer above the one of before means that the API
 * server wrote it again, at or below that it found it current.
 */
export type SecretOutcome =
  | ({ readonly kind: 're-encrypted' | 'already-current' } & SecretVersion)
  | { readonly kind: 'gone'; readonly namespace: string }
  | ({ readonly kind: 'failed' } & SecretFailure)

/** A Secret as it was left. */
export interface SecretVersion {
  readonly namespace: string
  readonly name: string
  readonly resourceVersion: string
}

export interface SecretFailure {
  readonly namespace: string
  readonly name: string
  /** `permanent`: trying again can't help until somebody mends the cause. */
  readonly permanence: 'permanent' | 'transient'
  /** HTTP status of the last answer; 0 when there was none. */
  readonly status: number
  /** The API server's reason and message, without any value of the Secret. */
  readonly reason: string
}

export interface SecretCounts {
  readonly total: number
  readonly reEncrypted: number
  readonly alreadyCurrent: number
  readonly gone: number
  readonly failed: number
  /** Of those that failed, the permanent ones; the others failed after retries. */
  readonly failedForGood: number
}

export const NO_SECRETS: SecretCounts = {
  total: 0,
  reEncrypted: 0,
  alreadyCurrent: 0,
  gone: 0,
  failed: 0,
  failedForGood: 0
}

/** One walk over every Secret of the cluster. */
export interface Pass {
  /** False when it was broken off: its counts are of the Secrets that it came to. */
  readonly complete: boolean
  readonly counts: SecretCounts
  readonly byNamespace: ReadonlyMap<string, SecretCounts>
  readonly failures: readonly SecretFailure[]
  readonly durationMs: number
}

/**
 * `proved`: a whole pass found nothing stale, and no API server that was met would write otherwise. `failed`: Secrets could not
 * be re-encrypted. `behind`: an API server still writes under another key. `never-stale`: KMS v1 does not see the change of key.
 * `not-settled`: the last pass still found stale ones, or no pass found any after a change of key.
 */
export type ProofVerdict = 'proved' | 'failed' | 'behind' | 'never-stale' | 'not-settled'

/** Passes until one found nothing stale, or until it was clear that none would. */
export interface Proof {
  readonly verdict: ProofVerdict
  readonly passes: readonly Pass[]
  readonly evidence: Evidence
  /** What ended it before it came to a verdict. */
  readonly brokenOff: { readonly error: unknown } | undefined
}

/** How far a proof has come. */
export interface ProofProgress {
  /** From 1. */
  readonly pass: number
  readonly passEnded: boolean
  readonly listed: number
  /** Secrets with an outcome. */
  readonly settled: number
  readonly reEncrypted: number
  readonly failed: number
  /** Since the pass began. */
  readonly elapsedMs: number
  /** How many Secrets there will be, by the pass before or the API server's own count; undefined where neither says. */
  readonly expectedTotal: number | undefined
}

/**
 * The proof in one row: what was listed at its start, and every rewrite of all its passes.
 * `failed` is what the last pass left.
 */
export function summarizeProof(proof: Proof): SecretCounts {
  return summarize(proof.passes.map(({ counts }) => counts))
}

/** The same for each namespace that any pass met, largest first. */
export function summarizeNamespaces(proof: Proof): { readonly namespace: string; readonly counts: SecretCounts }[] {
  const names = new Set(proof.passes.flatMap(({ byNamespace }) => [...byNamespace.keys()]))
  return [...names]
    .map((namespace) => ({
      namespace,
      counts: summarize(proof.passes.map(({ byNamespace }) => byNamespace.get(namespace) ?? NO_SECRETS))
    }))
    .sort((a, b) => b.counts.total - a.counts.total || a.namespace.localeCompare(b.namespace))
}

function summarize(passes: readonly SecretCounts[]): SecretCounts {
  const [first = NO_SECRETS] = passes
  return {
    total: first.total,
    reEncrypted: passes.reduce((sum, counts) => sum + counts.reEncrypted, 0),
    alreadyCurrent: first.alreadyCurrent,
    gone: first.gone,
    failed: passes.at(-1)?.failed ?? 0,
    failedForGood: passes.at(-1)?.failedForGood ?? 0
  }
}

/** Counts while a pass runs. */
export type SecretTally = { -readonly [Name in keyof SecretCounts]: SecretCounts[Name] }

const COUNTED_AS = {
  're-encrypted': 'reEncrypted',
  'already-current': 'alreadyCurrent',
  gone: 'gone',
  failed: 'failed'
} as const satisfies Record<SecretOutcome['kind'], keyof SecretCounts>

export function countOutcome(tally: SecretTally, outcome: SecretOutcome): void {
  tally.total++
  tally[COUNTED_AS[outcome.kind]]++
  if (outcome.kind === 'failed' && outcome.permanence === 'permanent') tally.failedForGood++
}
