import './small-heap.ts'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as core from '@actions/core'
import { docsUrl, environment, eventPullRequest, runUrl } from './environment.ts'
import { ActionError, toActionError, type Code } from './errors.ts'
import { findApprovedPlan } from './github/approved-plan.ts'
import { createGitHubClient } from './github/client.ts'
import { rejectedReport } from './journal.ts'
import type { Log } from './log.ts'
import { run } from './main.ts'
import type { ApprovedPlan } from './model/approved-plan.ts'
import type { RunReport } from './model/report.ts'
import { commentPlan } from './plan-comment.ts'
import { createPlatform } from './platform.ts'
import { annotationsOf } from './report/annotations.ts'
import { reportToJson } from './report/json.ts'
import { outputsOf } from './report/outputs.ts'
import { fitSummary } from './report/summary.ts'
import { parseBoolean, parseRequest, type Request } from './request.ts'
import { reportStatus } from './status.ts'

const EXIT_CODE: Readonly<Record<RunReport['result'], number>> = {
  done: 0,
  planned: 0,
  refused: 1,
  failed: 1,
  cancelled: 130
}

/** If something keeps the process alive after all is said, it ends without. */
const LINGER_MS = 2_000

async function main(): Promise<void> {
  const report = await readAndRun()
  await tell(report)
  process.exitCode = EXIT_CODE[report.result]
  setTimeout(() => process.exit(), LINGER_MS).unref()
}

async function readAndRun(): Promise<RunReport> {
  let request: Request
  try {
    request = await readRequest()
  } catch (error) {
    const cluster = core.getInput('cluster-name') || core.getInput('cluster')
    return rejectedReport(core.getInput('operation'), cluster, toActionError(error))
  }
  const signal = AbortSignal.any([cancellation(), timeout(request.timeout)])
  const platform = createPlatform(request, {
    getIdToken: (audience) => core.getIDToken(audience),
    approvedPlan: (operation, cluster) => approvedPlan(operation, cluster, signal),
    run: runUrl(),
    log,
    signal
  })
  return await (request.operation === 'status' ? reportStatus(request, platform) : run(request, platform))
}

async function approvedPlan(operation: string, cluster: string, signal: AbortSignal): Promise<ApprovedPlan> {
  const token = core.getInput('github-token')
  const client = createGitHubClient({ token, repository: environment('GITHUB_REPOSITORY'), signal })
  const search = { operation, cluster, pullRequest: eventPullRequest(), commit: environment('GITHUB_SHA') }
  return await findApprovedPlan(client, signal, search)
}

async function readRequest(): Promise<Request> {
  for (const name of ['show-summary', 'comment']) parseBoolean(name, core.getInput(name))
  return parseRequest({
    operation: core.getInput('operation'),
    dryRun: core.getInput('dry-run'),
    resourceGroup: core.getInput('resource-group'),
    clusterName: core.getInput('cluster-name'),
    subscriptionId: core.getInput('subscription-id') || environment('AZURE_SUBSCRIPTION_ID'),
    tenantId: core.getInput('tenant-id') || environment('AZURE_TENANT_ID'),
    clientId: core.getInput('client-id') || environment('AZURE_CLIENT_ID'),
    credential: core.getInput('credential'),
    azureCloud: core.getInput('azure-cloud'),
    kubeconfig: await textOf('kubeconfig', 'kubeconfig-invalid'),
    keyId: core.getInput('key-id'),
    keyVaultNetworkAccess: core.getInput('key-vault-network-access'),
    keyVaultResourceId: core.getInput('key-vault-resource-id'),
    kubernetesVersion: core.getInput('kubernetes-version'),
    maxKeyAge: core.getInput('max-key-age'),
    retirePrevious: core.getInput('retire-previous'),
    repair: core.getInput('repair'),
    keyName: core.getInput('key-name'),
    keySize: core.getInput('key-size'),
    keyRotationInterval: core.getInput('key-rotation-interval'),
    identityResourceId: core.getInput('identity-resource-id'),
    location: core.getInput('location'),
    clusterDefinition: await textOf('cluster-definition', 'cluster-definition-invalid'),
    dueOnly: core.getInput('due-only'),
    desiredState: await textOf('desired-state', 'desired-state-invalid'),
    cluster: core.getInput('cluster'),
    expectedPlanHash: core.getInput('expected-plan-hash'),
    approvedPlan: core.getInput('approved-plan'),
    timeoutMinutes: core.getInput('timeout-minutes'),
    maxConcurrency: core.getInput('max-concurrency'),
    maxRequestsPerSecond: core.getInput('max-requests-per-second'),
    recordNamespace: core.getInput('record-namespace')
  })
}

/** The text of a document, or the path of its file: a document has more than one line, or is JSON, and a path neither. */
async function textOf(name: string, unreadable: Code): Promise<string> {
  const input = core.getInput(name)
  if (input === '' || input.includes('\n') || input.startsWith('{')) return input
  try {
    return await readFile(input, 'utf8')
  } catch (error) {
    throw new ActionError(unreadable, `The file ${input} can’t be read.`, { cause: error })
  }
}

/** Writes everything that a run has to say. A summary that can't be written turns no run red. */
async function tell(report: RunReport): Promise<void> {
  const directory = await mkdtemp(join(environment('RUNNER_TEMP') || tmpdir(), 'kms-etcd-encryption-'))
  const path = join(directory, 'report.json')
  await writeFile(path, reportToJson(report))
  const commentUrl = await comment(report)
  for (const [name, value] of Object.entries(outputsOf(report, path, commentUrl))) core.setOutput(name, value)

  core.info(report.sentence)
  for (const { level, title, message } of annotationsOf(report, docsUrl())) core[ANNOTATE[level]](message, { title })
  if (core.getInput('show-summary').toLowerCase() === 'false') return
  try {
    await core.summary.addRaw(fitSummary(report, { docsUrl: docsUrl() })).write()
  } catch (error) {
    core.warning(`The job summary could not be written: ${toActionError(error).message}`)
  }
}

async function comment(report: RunReport): Promise<string> {
  if (core.getInput('comment').toLowerCase() !== 'true') return ''
  const written = await commentPlan(report, core.getInput('github-token'))
  if (written === undefined) return ''
  const { url, level, title, message } = written
  if (level === 'info') core.info(message)
  else core[level](message, { title })
  return url
}

const ANNOTATE = { error: 'error', warning: 'warning', notice: 'notice' } as const

const log: Log = {
  info: core.info,
  debug: core.debug,
  group: core.group
}

/** GitHub cancels a step by SIGINT to this process alone, and 7.5 s later by SIGTERM. */
function cancellation(): AbortSignal {
  const controller = new AbortController()
  const cancel = (): void => {
    controller.abort(new ActionError('cancelled', 'The run was cancelled.'))
  }
  process.once('SIGINT', cancel)
  process.once('SIGTERM', cancel)
  return controller.signal
}

function timeout(limit: number): AbortSignal {
  const controller = new AbortController()
  const error = new ActionError('timed-out', `The run reached its limit of ${String(limit / 60_000)} minutes.`)
  setTimeout(() => {
    controller.abort(error)
  }, limit).unref()
  return controller.signal
}

await main()
