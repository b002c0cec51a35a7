import type { Approval } from './model/approval.ts'
import { clusterFromBody } from './azure/cluster-body.ts'
import { toActionError, type ActionError } from './errors.ts'
import { isProved, type Memory } from './memory.ts'
import type { Cluster } from './model/cluster.ts'
import { clusterId } from './model/cluster.ts'
import type { ApprovedPlan } from './model/approved-plan.ts'
import { estimateSteps, type Estimate } from './model/estimate.ts'
import { finding, type Finding } from './model/finding.ts'
import { EMPTY_RECORD, type ClusterRecord } from './model/goal.ts'
import { adviseKeys } from './model/key-advice.ts'
import { rotationDueAt, type KeyDetails } from './model/key.ts'
import { keyIdOf, sameKmsProfile, type KmsProfile } from './model/kms-profile.ts'
import type { Observed } from './model/observed.ts'
import { preparedResources } from './model/prepared-resources.ts'
import type {
  ApprovalReport,
  ClusterSnapshot,
  Plan,
  ProofReport,
  RunReport,
  RunResult,
  StepReport
} from './model/report.ts'
import type { makePlan } from './plan.ts'
import type { Platform } from './platform.ts'
import { maxKeyAgeOf, type Request } from './request.ts'

/** How long a failed run looks for the cluster's last state before it reports without. */
const LAST_LOOK_MS = 10_000
/** GitHub's runner gives a cancelled step 7.5 s in all. */
const LAST_LOOK_WHEN_CANCELLED_MS = 1_000

/** What happened in a run, step by step, and at its end the report of it. */
export class Journal {
  #plan: ReturnType<typeof makePlan> | undefined
  readonly #request: Request
  readonly #platform: Platform
  readonly #memory: Memory
  readonly #startedAt: number
  readonly #steps: StepReport[] = []
  /** By url in lower case. */
  readonly #keys = new Map<string, KeyDetails>()
  #estimate: Estimate | undefined
  #approval: ApprovalReport | undefined
  /** What was seen first. */
  #first: Observed | undefined
  #name: string
  #recordBefore: ClusterRecord | undefined
  #last: Observed | undefined
  #after: Cluster | undefined
  /** Those that the cluster had in turn. */
  readonly #profiles: KmsProfile[] = []
  /** When the key version that was in use at the start is to be rotated off, in milliseconds since the epoch. */
  #dueAtStart: number | undefined

  constructor(request: Request, platform: Platform, memory: Memory) {
    this.#request = request
    this.#platform = platform
    this.#memory = memory
    this.#startedAt = platform.now()
    this.#name = request.cluster === undefined ? (request.preparation?.vaultId ?? '') : clusterId(request.cluster)
  }

  get plan(): Plan | undefined {
    return this.#plan?.plan
  }

  planned(plan: ReturnType<typeof makePlan>): void {
    this.#plan = plan
  }

  /** `secrets`: how many there are, where that is known. */
  estimated(secrets: number | undefined): void {
    if (this.plan !== undefined) this.#estimate = estimateSteps(this.plan.basis.steps, secrets)
  }

  compared({ hash, url }: ApprovedPlan, verdict: Approval): void {
    const refused = verdict.kind === 'refused'
    this.#approval = {
      hash,
      url,
      sentence: refused ? verdict.finding.message : verdict.sentence,
      diff: refused ? verdict.diff : []
    }
  }

  /** ARM id of the cluster, or what else it is known by. */
  get cluster(): string {
    return this.#name
  }

  saw(observed: Observed): void {
    this.#first ??= observed
    this.#name = observed.cluster?.id ?? observed.definition?.id ?? observed.apiServer ?? this.#name
    // The record is not read while the cluster is changing, and can't be read where no API server answers.
    if (observed.apiServer !== undefined) this.#recordBefore ??= observed.record
    for (const key of observed.keys.values())
      if (key.kind === 'readable') this.#keys.set(key.key.id.url.toLowerCase(), key.key)
    this.#last = observed
    this.#sawCluster(observed.cluster)
    this.#dueAtStart ??= this.#rotationDueAt(observed.cluster)
  }

  #sawCluster(cluster: Cluster | undefined): void {
    this.#after = cluster
    const last = this.#profiles.at(-1)
    if (cluster !== undefined && (last === undefined || !sameKmsProfile(last, cluster.kms))) {
      this.#profiles.push(cluster.kms)
    }
  }

  async step(kind: string, title: string, body: () => Promise<void>): Promise<void> {
    const startedAt = this.#platform.now()
    const note = (result: StepReport['result']): void => {
      this.#steps.push({ kind, title, durationMs: this.#platform.now() - startedAt, result })
    }
    try {
      await body()
      note('done')
    } catch (error) {
      note(toActionError(error).code === 'cancelled' ? 'cancelled' : 'failed')
      throw error
    }
  }

  done(sentence: string, findings: readonly Finding[]): RunReport {
    return this.#report('done', sentence, findings)
  }

  /** A dry run ends here: green, unless the operation would be refused on its way. */
  onlyPlanned(): RunReport {
    const { plan, findings = [] } = this.#plan ?? {}
    return plan?.refused === true ? this.refused(findings) : this.#report('planned', plan?.sentence ?? '', findings)
  }

  refused(findings: readonly Finding[]): RunReport {
    const [first] = findings
    const error = first && { code: first.code, message: first.message, fix: first.fix }
    return this.#report('refused', first?.message ?? '', findings, error)
  }

  /** What went wrong may have left the cluster in another state than was seen last. */
  async failed(error: ActionError): Promise<RunReport> {
    if (error.code === 'internal-error' && error.cause instanceof Error)
      this.#platform.log.info(error.cause.stack ?? '')
    if (this.#last !== undefined) {
      try {
        const limit = error.code === 'cancelled' ? LAST_LOOK_WHEN_CANCELLED_MS : LAST_LOOK_MS
        const look = await this.#platform.clusters?.read(AbortSignal.timeout(limit))
        if (look !== undefined) {
          this.#sawCluster(clusterFromBody(look.body, { dataEncryption: this.#memory.dataEncryption }))
        }
      } catch (lookError) {
        this.#platform.log.debug(`The cluster could not be read at the end: ${toActionError(lookError).message}`)
      }
    }
    const { code, message, fix } = error
    return this.#report(code === 'cancelled' ? 'cancelled' : 'failed', message, [], { code, message, fix })
  }

  #report(
    result: RunResult,
    sentence: string,
    findings: readonly Finding[] = [],
    error?: RunReport['error']
  ): RunReport {
    const { operation, dryRun } = this.#request
    const { proofs } = this.#memory
    const [before, after] = [this.#first?.cluster, this.#after]
    const proved = isProved(this.#memory, after)
    return {
      ...emptyReport(operation, this.#startedAt),
      dryRun,
      name: this.#request.desired?.name,
      cluster: this.#name,
      run: this.#platform.run,
      durationMs: this.#platform.now() - this.#startedAt,
      result,
      sentence,
      error,
      findings: [...this.#noticed(findings), ...findings, ...unseenApiServers(proofs.at(-1))],
      before: before && this.#snapshot(before),
      after: after && this.#snapshot(after),
      changed: after !== undefined && (before === undefined || differs(before, after)),
      proved,
      rotationDueAt: optionalTime(this.#rotationDueAt(after)),
      rotationOverdueSince: optionalTime(this.#overdueSince()),
      plan: this.#plan?.plan,
      estimate: this.#estimate,
      approval: this.#approval,
      steps: this.#steps,
      proofs,
      keys: this.#steps.length === 0 ? [] : this.#keyAdvice(proved),
      resources: this.#resources()
    }
  }

  #snapshot(cluster: Cluster): ClusterSnapshot {
    const { securityProfile, kms, dataEncryption, kubernetesVersion, provisioningState } = cluster
    const key = this.#keyInUse(cluster)
    const keyVersion = key && {
      createdAt: isoTime(key.created),
      expiresAt: key.expires === undefined ? undefined : isoTime(key.expires)
    }
    return { securityProfile, kms, dataEncryption, keyVersion, kubernetesVersion, provisioningState }
  }

  #keyInUse({ kms }: Cluster): KeyDetails | undefined {
    return this.#keys.get((keyIdOf(kms) ?? '').toLowerCase())
  }

  /** What was noticed on the way, but for what the run is refused for. */
  #noticed(findings: readonly Finding[]): readonly Finding[] {
    const refusals = findings.filter(({ severity }) => severity === 'refusal').map(({ code }) => code)
    return (this.#last?.findings ?? []).filter(({ code }) => !refusals.includes(code))
  }

  #rotationDueAt(cluster: Cluster | undefined): number | undefined {
    const maxKeyAge = maxKeyAgeOf(this.#request)
    const key = cluster && this.#keyInUse(cluster)
    return key === undefined || maxKeyAge === undefined ? undefined : rotationDueAt(key, maxKeyAge)
  }

  #overdueSince(): number | undefined {
    return this.#dueAtStart !== undefined && this.#dueAtStart <= this.#startedAt ? this.#dueAtStart : undefined
  }

  /** As seen last, with what was made since then. */
  #resources(): RunReport['resources'] {
    const [wanted, seen] = [this.#request.preparation, this.#last?.preparation]
    return wanted === undefined || seen === undefined
      ? []
      : preparedResources(wanted, { ...seen, made: this.#memory.made })
  }

  #keyAdvice(proved: boolean): RunReport['keys'] {
    return adviseKeys({
      profiles: this.#profiles,
      record: this.#recordBefore ?? EMPTY_RECORD,
      proved
    })
  }
}

/** What nobody has met may write otherwise. */
function unseenApiServers(proof: ProofReport | undefined): readonly Finding[] {
  const { basis, servers, live = 0 } = proof?.evidence ?? {}
  if (basis !== 'metrics' || servers === undefined || servers.length >= live) return []
  const message = `${String(servers.length)} of ${String(live)} API servers were met; the others keep their Leases, but no new connection led to them.`
  return [finding('warning', 'api-servers-unseen', message)]
}

function differs(before: Cluster, after: Cluster): boolean {
  return !sameKmsProfile(before.kms, after.kms) || versionsOf(before) !== versionsOf(after)
}

/** Of the control plane and of every node pool. */
function versionsOf({ kubernetesVersion, pools }: Cluster): string {
  return JSON.stringify([kubernetesVersion, ...pools.map((pool) => [pool.name, pool.kubernetesVersion])])
}

function isoTime(time: number): string {
  return new Date(time).toISOString()
}

function optionalTime(time: number | undefined): string | undefined {
  return time === undefined ? undefined : isoTime(time)
}

/** The report of a run that never began, because its inputs can't be used. `cluster`: its name, as far as one was given. */
export function rejectedReport(operation: string, cluster: string, { code, message, fix }: ActionError): RunReport {
  return {
    ...emptyReport(operation, Date.now()),
    cluster,
    result: 'refused',
    sentence: message,
    error: { code, message, fix }
  }
}

/** A report without anything in it yet. `startedAt` is in milliseconds since the epoch. */
export function emptyReport(operation: string, startedAt: number): RunReport {
  return {
    schemaVersion: 1,
    operation,
    dryRun: false,
    name: undefined,
    cluster: '',
    run: undefined,
    startedAt: new Date(startedAt).toISOString(),
    durationMs: 0,
    result: 'failed',
    sentence: '',
    error: undefined,
    findings: [],
    before: undefined,
    after: undefined,
    changed: false,
    proved: false,
    rotationDueAt: undefined,
    rotationOverdueSince: undefined,
    plan: undefined,
    estimate: undefined,
    approval: undefined,
    steps: [],
    proofs: [],
    keys: [],
    resources: [],
    clusters: undefined,
    dueOnly: undefined
  }
}
