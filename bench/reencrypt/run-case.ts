import { setTimeout as sleep } from 'node:timers/promises'

import { PER_NAMESPACE_SECONDS, sampleNamespacesOf } from './cases.ts'
import type { BenchCluster } from './cluster.ts'
import { prepareKubectl, type Kubectl, type KubectlForm } from './kubectl.ts'
import { secondsFor, type CaseResult, type Measurement, type ProofMeasurement } from './measurement.ts'
import type { ActionHandlers } from './processes/action.ts'
import type { CeilingHandlers } from './processes/ceiling.ts'
import { openRoute, type Route } from './route.ts'
import { startWorker } from './worker.ts'

export interface CaseOptions {
  readonly rttMs: number
  readonly apiServers: number
  /** How often the action and the ceiling are measured. */
  readonly rounds: number
  /** Seconds that kubectl's documented form may take for all Secrets; what would take longer is measured on a sample. */
  readonly kubectlSeconds: number
  readonly say: (line: string) => void
}

/** As many as kube-apiserver works on at once are the last. */
const CONCURRENCIES = [64, 128, 200]
const TRIAL_SECRETS = 3_000
const IDLE_MS = 5_000

/** All ways in turn on the same Secrets, which are stale before each. Every Secret's bytes in etcd are looked at after each. */
export async function runCase(cluster: BenchCluster, options: CaseOptions): Promise<CaseResult> {
  const { rttMs, apiServers, rounds, kubectlSeconds, say } = options
  const { controlPlane } = cluster.bed
  const route = await openRoute(controlPlane, rttMs)
  const kubectl = await prepareKubectl(controlPlane.kubectl, route.target)
  try {
    const idle = (await route.observe(() => sleep(IDLE_MS))).observations.bystander
    const ceilingConcurrency = await findConcurrency(cluster, route, say)

    const action: Measurement[] = []
    const ceiling: Measurement[] = []
    const forms = new Map<KubectlForm, Measurement>()
    let proof: ProofMeasurement | undefined
    const replace = async (form: KubectlForm, mostSeconds: number): Promise<void> => {
      forms.set(form, await measureKubectl(cluster, route, kubectl.replace, form, mostSeconds, say))
    }

    // One way in turn with the other, so that a machine that slows down slows all.
    for (let round = 0; round < rounds; round++) {
      const measured = await measureAction(cluster, route, round === 0)
      action.push(measured.pass)
      proof ??= measured.proof
      if (round === 0) await replace('all-namespaces', kubectlSeconds)
      ceiling.push(await measureCeiling(cluster, route, ceilingConcurrency))
      if (round === 0) await replace('per-namespace', PER_NAMESPACE_SECONDS)
    }
    const [kubectlAll, kubectlPerNamespace] = [forms.get('all-namespaces'), forms.get('per-namespace')]
    if (proof === undefined || kubectlAll === undefined || kubectlPerNamespace === undefined) {
      throw new RangeError('A case has at least one round.')
    }
    return {
      population: cluster.population,
      rttMs,
      apiServers,
      ceilingConcurrency,
      idle,
      action,
      proof,
      ceiling,
      kubectl: kubectlAll,
      kubectlPerNamespace
    }
  } finally {
    await kubectl.stop()
    await route.stop()
  }
}

async function measureAction(
  cluster: BenchCluster,
  route: Route,
  prove: boolean
): Promise<{ readonly pass: Measurement; readonly proof: ProofMeasurement | undefined }> {
  const keyId = await cluster.makeAllStale()
  const worker = startWorker<ActionHandlers>('action.ts')
  try {
    const { result, observations } = await route.observe(() => worker.call('pass', route.target))
    const { usage, result: counts } = result
    if (counts.reEncrypted !== cluster.population.secrets) {
      throw new Error(`The action’s pass did not re-encrypt all: ${JSON.stringify(counts)}`)
    }
    if (prove) await cluster.untilForgotten()
    const rest = prove ? await worker.call('proof', { target: route.target, keyId }) : undefined
    await cluster.verifyAllCurrent()
    return {
      pass: { ...usage, ...observations, secrets: counts.reEncrypted },
      proof: rest && { ...rest.usage, ...rest.result }
    }
  } finally {
    await worker.stop()
  }
}

async function measureCeiling(cluster: BenchCluster, route: Route, concurrency: number): Promise<Measurement> {
  await cluster.makeAllStale()
  const measured = await patch(cluster, route, { from: 0, secrets: cluster.population.secrets, concurrency })
  await cluster.verifyAllCurrent()
  return measured
}

async function findConcurrency(cluster: BenchCluster, route: Route, say: (line: string) => void): Promise<number> {
  const trials = CONCURRENCIES.map((concurrency) => ({ concurrency, seconds: 0 }))
  const secrets = Math.min(TRIAL_SECRETS, Math.floor(cluster.population.secrets / trials.length))
  // Each once in each place: the API server is slower at first.
  for (const first of trials.keys()) {
    await cluster.makeAllStale()
    for (const [place, trial] of [...trials.slice(first), ...trials.slice(0, first)].entries()) {
      const { concurrency } = trial
      trial.seconds += (await patch(cluster, route, { from: place * secrets, secrets, concurrency })).seconds
    }
  }
  const rates = trials.map(
    ({ concurrency, seconds }) =>
      `${((secrets * trials.length) / seconds).toFixed(0)} with ${String(concurrency)} at once`
  )
  say(`  ceiling, patches/s: ${rates.join(', ')}`)
  return trials.reduce((best, trial) => (trial.seconds < best.seconds ? trial : best)).concurrency
}

async function patch(
  { population }: BenchCluster,
  route: Route,
  part: { readonly from: number; readonly secrets: number; readonly concurrency: number }
): Promise<Measurement> {
  const { secrets } = part
  const worker = startWorker<CeilingHandlers>('ceiling.ts')
  try {
    const task = { target: route.target, population, ...part }
    const { result, observations } = await route.observe(() => worker.call('patch', task))
    if (result.result !== secrets) throw new Error(`Of ${String(secrets)} patches ${String(result.result)} succeeded.`)
    return { ...result.usage, ...observations, secrets }
  } finally {
    await worker.stop()
  }
}

async function measureKubectl(
  cluster: BenchCluster,
  route: Route,
  replace: Kubectl['replace'],
  form: KubectlForm,
  mostSeconds: number,
  say: (line: string) => void
): Promise<Measurement> {
  const { population } = cluster
  const run = async (sample?: { readonly namespaces: number }): Promise<Measurement> => {
    await cluster.makeAllStale()
    const { result, observations } = await route.observe(() => replace(form, sample))
    const { usage, secrets, startSeconds } = result
    return { ...usage, ...observations, secrets, startSeconds }
  }
  const sampled = await run({ namespaces: sampleNamespacesOf(population) })
  const estimate = secondsFor(population.secrets, sampled)
  if (estimate > mostSeconds) {
    say(
      `  kubectl, ${form}, would take ${estimate.toFixed(0)} s: left at a sample of ${String(sampled.secrets)} Secrets`
    )
    return sampled
  }
  const whole = await run()
  await cluster.verifyAllCurrent()
  return whole
}
