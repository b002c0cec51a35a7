import {
  countOutcome,
  NO_SECRETS,
  type Pass,
  type Proof,
  type ProofProgress,
  type SecretFailure,
  type SecretTally
} from '../model/secrets.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'
import { Api } from './api.ts'
import { SYSTEM_CLOCK, type Clock } from './clock.ts'
import type { KubernetesEndpoint } from './connection.ts'
import { estimateSecrets } from './listing.ts'
import { reencryptSecrets } from './reencryption.ts'

export interface ProofOptions {
  readonly endpoint: KubernetesEndpoint
  readonly signal?: AbortSignal | undefined
  /** Called every 10 s at the latest, and at the end of each pass. */
  readonly onProgress?: ((progress: ProofProgress) => void) | undefined
  /**
   * The key has just been changed, so Secrets must be found stale. As long as none is, the API servers do not write under the
   * new key yet, and a pass proves nothing.
   */
  readonly keyChanged?: boolean
  readonly mostPasses?: number
  /** How long one request is tried, in milliseconds. */
  readonly patience?: number
  readonly clock?: Clock
}

const PROGRESS_INTERVAL = 10_000
const MOST_PASSES = 10
const MOST_FAILURES_KEPT = 1000

/** Before passes 2, 3, 4, …; the last one from there on. */
const WAITS = [0, 2_000, 5_000, 15_000, 30_000]

/**
 * A Secret that is written all the time looks re-encrypted when it was written between its listing and its patch. Later passes
 * list smaller pages, so that little time lies between.
 */
const PAGE_SIZES = [500, 500, 50]

/**
 * Passes over every Secret until one found nothing to re-encrypt and failed at nothing. Each pass has connections of its own, so
 * that it meets other API servers behind the same address. Permanent failures end it after the pass that met them again.
 * Throws as `reencryptSecrets` does.
 */
export async function proveSecrets(options: ProofOptions): Promise<Proof> {
  const { keyChanged = false, mostPasses = MOST_PASSES, clock = SYSTEM_CLOCK, signal } = options
  const limit = new AdaptiveLimit()
  const passes: Pass[] = []
  for (;;) {
    passes.push(await walk(options, passes, limit))
    const verdict = judge(passes, keyChanged)
    if (verdict !== 'again') return { proved: verdict === 'proved', passes }
    if (passes.length >= mostPasses) return { proved: false, passes }
    await clock.sleep(at(WAITS, passes.length - 1), signal)
  }
}

function judge(passes: readonly Pass[], keyChanged: boolean): 'proved' | 'hopeless' | 'again' {
  const [last, before] = passes.toReversed()
  if (last === undefined || last.counts.reEncrypted > 0) return 'again'
  if (last.counts.failed > 0)
    return failsForGood(last) && before !== undefined && failsForGood(before) ? 'hopeless' : 'again'
  const known = passes.some(({ counts }) => counts.reEncrypted > 0)
  return keyChanged && !known && last.counts.total > 0 ? 'again' : 'proved'
}

function failsForGood({ counts, failures }: Pass): boolean {
  return counts.failed > 0 && failures.every(({ permanence }) => permanence === 'permanent')
}

async function walk(options: ProofOptions, before: readonly Pass[], limit: AdaptiveLimit): Promise<Pass> {
  const { endpoint, signal, onProgress, clock = SYSTEM_CLOCK, patience } = options
  const counts: SecretTally = { ...NO_SECRETS }
  const byNamespace = new Map<string, SecretTally>()
  const failures: SecretFailure[] = []
  const started = clock.now()
  let listed = 0
  let expectedTotal = before.at(-1)?.counts.total

  const report = (passEnded: boolean) =>
    onProgress?.({
      pass: before.length + 1,
      passEnded,
      listed,
      settled: counts.total,
      reEncrypted: counts.reEncrypted,
      failed: counts.failed,
      elapsedMs: clock.now() - started,
      expectedTotal
    })

  const api = new Api({ endpoint, signal, clock, ...(patience !== undefined && { patience }) })
  const ticker = setInterval(report, PROGRESS_INTERVAL, false)
  try {
    expectedTotal ??= await estimateSecrets(api)
    const pageSize = at(PAGE_SIZES, before.length)
    for await (const outcome of reencryptSecrets({ api, limit, pageSize, onListed: (count) => (listed += count) })) {
      const { namespace } = outcome
      let tally = byNamespace.get(namespace)
      if (tally === undefined) byNamespace.set(namespace, (tally = { ...NO_SECRETS }))
      countOutcome(counts, outcome.kind)
      countOutcome(tally, outcome.kind)
      if (outcome.kind === 'failed' && failures.length < MOST_FAILURES_KEPT) {
        const { name, permanence, status, reason } = outcome
        failures.push({ namespace, name, permanence, status, reason })
      }
    }
  } finally {
    clearInterval(ticker)
    api.close()
  }
  report(true)
  return { counts, byNamespace, failures, durationMs: clock.now() - started }
}

/** The value at an index, or the last one. */
function at(values: readonly number[], index: number): number {
  return values[Math.min(index, values.length - 1)] ?? 0
}
