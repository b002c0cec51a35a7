import { ActionError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { KeyChange, WriteKey } from '../model/api-servers.ts'
import {
  countOutcome,
  NO_SECRETS,
  type Pass,
  type Proof,
  type ProofProgress,
  type ProofVerdict,
  type SecretFailure,
  type SecretOutcome,
  type SecretTally,
  type SecretVersion
} from '../model/secrets.ts'
import { Api } from './api.ts'
import { SYSTEM_CLOCK, type Clock } from './clock.ts'
import type { KubernetesEndpoint } from './connection.ts'
import { Convergence } from './convergence.ts'
import { estimateSecrets } from './listing.ts'
import { Pace } from './pace.ts'
import { reencryptSecrets } from './reencryption.ts'

export interface ProofOptions {
  readonly endpoint: KubernetesEndpoint
  readonly signal?: AbortSignal | undefined
  readonly log?: Log | undefined
  /** Called every 10 s at the latest, and at the end of each pass. */
  readonly onProgress?: ((progress: ProofProgress) => void) | undefined
  readonly writeKey: WriteKey
  /**
   * The key has just been changed, so Secrets must be found stale. As long as none is, the API servers do not write under the
   * new key yet, and a pass proves nothing.
   */
  readonly keyChange?: KeyChange | undefined
  /** Requests under way at once, at most. */
  readonly maxConcurrency?: number
  /** Undefined: as many as the API server takes. */
  readonly maxRequestsPerSecond?: number | undefined
  readonly mostPasses?: number
  /** How long one request is tried, in milliseconds. */
  readonly patience?: number
  /** See ConvergenceOptions. */
  readonly behindMs?: number
  readonly settleMs?: number
  readonly clock?: Clock
}

const PROGRESS_INTERVAL = 10_000
const MOST_PASSES = 10
const MOST_FAILURES_KEPT = 1000
const MOST_PROBES = 3

/** Before passes 2, 3, 4, …; the last one from there on. */
const WAITS = [0, 2_000, 5_000, 15_000, 30_000]

/** Where a second pass does not settle it, others write Secrets between their listing and their patch. */
const FIRST_EXACT_PASS = 2

/**
 * Passes over every Secret until one found nothing to re-encrypt and failed at nothing, and every API server that was met
 * afterwards would leave it so. Each pass has connections of its own, so that it meets other API servers behind the same address.
 * Permanent failures end it after the pass that met them again. Never rejects: what broke it off is in the proof.
 */
export async function proveSecrets(options: ProofOptions): Promise<Proof> {
  const { clock = SYSTEM_CLOCK, maxRequestsPerSecond } = options
  const passes: Pass[] = []
  const pace = maxRequestsPerSecond === undefined ? undefined : new Pace(maxRequestsPerSecond, clock)
  const convergence = new Convergence({ ...options, clock, pace })
  let verdict: ProofVerdict = 'not-settled'
  let brokenOff: Proof['brokenOff']
  try {
    verdict = await findVerdict(options, pace, passes, convergence)
  } catch (error) {
    brokenOff = { error }
  }
  return { verdict, passes, evidence: convergence.evidence, brokenOff }
}

async function findVerdict(
  options: ProofOptions,
  pace: Pace | undefined,
  passes: Pass[],
  convergence: Convergence
): Promise<ProofVerdict> {
  const { keyChange, mostPasses = MOST_PASSES, clock = SYSTEM_CLOCK, signal } = options
  if ((await convergence.beforeFirstPass()) === 'behind') return 'behind'
  while (passes.length < mostPasses) {
    if (passes.length > 0) await clock.sleep(at(WAITS, passes.length - 1), signal)
    const began = clock.now()
    const probes = new Probes(clock)
    const pass = await walk(options, pace, passes, probes)
    if (pass.counts.reEncrypted > 0) {
      // What one API server re-encrypts, one that lags writes back: passes don't end that, only time does.
      if (passes.length > 1 && (await convergence.untilCurrent(probes.chosen, began)) === 'behind') return 'behind'
      continue
    }
    if (pass.counts.failed > 0) {
      const before = passes.at(-2)
      if (failsForGood(pass) && before !== undefined && failsForGood(before)) return 'failed'
      continue
    }
    const state = await convergence.afterPass(probes.chosen, began)
    if (state === 'behind') return 'behind'
    if (state === 'waited') continue
    const known = passes.some(({ counts }) => counts.reEncrypted > 0)
    if (keyChange === undefined || known || pass.counts.total === 0) return 'proved'
    if (passes.length > 1 && convergence.blindToChange) return 'never-stale'
  }
  return (passes.at(-1)?.counts.failed ?? 0) > 0 ? 'failed' : 'not-settled'
}

function failsForGood({ counts }: Pass): boolean {
  return counts.failed > 0 && counts.failedForGood === counts.failed
}

/** Adds the pass to those before, also when it is broken off. */
async function walk(options: ProofOptions, pace: Pace | undefined, passes: Pass[], probes: Probes): Promise<Pass> {
  const { endpoint, signal, onProgress, clock = SYSTEM_CLOCK, patience, maxConcurrency } = options
  const counts: SecretTally = { ...NO_SECRETS }
  const byNamespace = new Map<string, SecretTally>()
  const failures: SecretFailure[] = []
  const started = clock.now()
  const index = passes.length
  let listed = 0
  let expectedTotal = passes.at(-1)?.counts.total

  const report = (passEnded: boolean) =>
    onProgress?.({
      pass: index + 1,
      passEnded,
      listed,
      settled: counts.total,
      reEncrypted: counts.reEncrypted,
      failed: counts.failed,
      elapsedMs: clock.now() - started,
      expectedTotal
    })

  const onOutcome = (outcome: SecretOutcome) => {
    const { namespace } = outcome
    let tally = byNamespace.get(namespace)
    if (tally === undefined) byNamespace.set(namespace, (tally = { ...NO_SECRETS }))
    countOutcome(counts, outcome)
    countOutcome(tally, outcome)
    if (outcome.kind === 'already-current') probes.offer(outcome)
    if (outcome.kind === 'failed' && failures.length < MOST_FAILURES_KEPT) {
      const { name, permanence, status, reason } = outcome
      failures.push({ namespace, name, permanence, status, reason })
    }
  }

  const api = new Api({ endpoint, signal, clock, pace, ...(patience !== undefined && { patience }) })
  const ticker = setInterval(report, PROGRESS_INTERVAL, false)
  const end = (complete: boolean): Pass => {
    clearInterval(ticker)
    api.close()
    const pass = { complete, counts, byNamespace, failures, durationMs: clock.now() - started }
    passes.push(pass)
    return pass
  }
  try {
    expectedTotal ??= await estimateSecrets(api)
    await reencryptSecrets({
      api,
      maxConcurrency,
      exact: index >= FIRST_EXACT_PASS,
      onListed: (count) => (listed += count),
      onOutcome
    })
    assertAccounted(listed, counts)
  } catch (error) {
    end(false)
    throw error
  }
  const pass = end(true)
  report(true)
  return pass
}

/** Every Secret that was listed has come to exactly one end. */
function assertAccounted(listed: number, { total, reEncrypted, alreadyCurrent, gone, failed }: SecretTally): void {
  if (listed === total && total === reEncrypted + alreadyCurrent + gone + failed) return
  throw new ActionError(
    'secrets-unaccounted',
    `${String(listed)} Secrets were listed, but the pass counted ${String(total)}: ${String(reEncrypted)} re-encrypted, ${String(alreadyCurrent)} already current, ${String(gone)} gone, ${String(failed)} failed.`
  )
}

/** A few Secrets of a pass, each as likely as any other. */
class Probes {
  readonly chosen: SecretVersion[] = []
  readonly #clock: Clock
  #offered = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  offer({ namespace, name, resourceVersion }: SecretVersion): void {
    const place =
      this.chosen.length < MOST_PROBES ? this.chosen.length : Math.floor(this.#clock.random() * (this.#offered + 1))
    this.#offered++
    if (place < MOST_PROBES) this.chosen[place] = { namespace, name, resourceVersion }
  }
}

/** The value at an index, or the last one. */
function at(values: readonly number[], index: number): number {
  return values[Math.min(index, values.length - 1)] ?? 0
}
