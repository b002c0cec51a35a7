import './small-heap.ts'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as core from '@actions/core'
import { ActionError, toActionError, type Code } from './errors.ts'
import { findApprovedPlan } from './github/approved-plan.ts'
import { createGitHubClient } from './github/client.ts'
import { putComment } from './github/comments.ts'
import { pullRequestOfEvent, type EventPullRequest } from './github/pull-requests.ts'
import { rejectedReport } from './journal.ts'
import type { Log } from './log.ts'
import { run } from './main.ts'
import { planMarker } from './model/approved-plan.ts'
import { asObject, type JsonObject } from './model/json.ts'
import type { RunReport } from './model/report.ts'
import { createPlatform } from './platform.ts'
import { annotationsOf } from './report/annotations.ts'
import { renderComment } from './report/comment.ts'
import { reportToJson } from './report/json.ts'
import { outputsOf } from './report/outputs.ts'
import { fitSummary } from './report/summary.ts'
import { parseBoolean, parseRequest, type Request } from './request.ts'

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
  const gitHub = readGitHub()
  const report = await readAndRun(gitHub)
  await tell(report, gitHub)
  process.exitCode = EXIT_CODE[report.result]
  setTimeout(() => process.exit(), LINGER_MS).unref()
}

async function readAndRun(gitHub: GitHub): Promise<RunReport> {
  let request: Request
  try {
    request = await readRequest()
  } catch (error) {
    return rejectedReport(core.getInput('operation'), toActionError(error))
  }
  const signal = AbortSignal.any([cancellation(), timeout(request.timeout)])
  const platform = createPlatform(request, {
    getIdToken: (audience) => core.getIDToken(audience),
    approvedPlan: (operation, cluster) =>
      findApprovedPlan(createGitHubClient({ ...gitHub, signal }), signal, {
        operation,
        cluster,
        pullRequest: gitHub.pullRequest?.number,
        commit: environment('GITHUB_SHA')
      }),
    run: runUrl(),
    log,
    signal
  })
  return await run(request, platform)
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
    clusterDefinition: core.getInput('cluster-definition'),
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
async function tell(report: RunReport, gitHub: GitHub): Promise<void> {
  const directory = await mkdtemp(join(environment('RUNNER_TEMP') || tmpdir(), 'kms-etcd-encryption-'))
  const path = join(directory, 'report.json')
  await writeFile(path, reportToJson(report))
  const commentUrl = await comment(report, gitHub)
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

/** How long GitHub is tried for a comment, in milliseconds. */
const COMMENT_PATIENCE = 120_000

/** Puts a dry run's plan on its pull request, and gives the comment's url. What keeps it from that turns no run red. */
async function comment(report: RunReport, gitHub: GitHub): Promise<string> {
  const { pullRequest } = gitHub
  // A run whose inputs can't be used knows no cluster that the comment could be about.
  if (core.getInput('comment').toLowerCase() !== 'true' || !report.dryRun || report.result === 'cancelled') return ''
  if (pullRequest === undefined) {
    core.info(`There is no pull request to comment on: the event is “${environment('GITHUB_EVENT_NAME')}”.`)
    return ''
  }
  const signal = AbortSignal.timeout(COMMENT_PATIENCE)
  try {
    const { url } = await putComment(createGitHubClient({ ...gitHub, signal }), signal, {
      number: pullRequest.number,
      marker: planMarker(report.operation, report.cluster),
      body: renderComment(report, { docsUrl: docsUrl(), commit: pullRequest.headSha })
    })
    core.info(`The plan is in ${url}`)
    return url
  } catch (error) {
    const { code, message, fix } = toActionError(error)
    const title = `The plan is not on the pull request: ${code}`
    if (code === 'github-forbidden' && pullRequest.readOnlyToken !== undefined) {
      core.notice(`${message} ${READ_ONLY[pullRequest.readOnlyToken]} The plan is in the job summary.`, { title })
    } else {
      core.warning(`${message}\nFix: ${fix}`, { title })
    }
    return ''
  }
}

const READ_ONLY = {
  fork: 'The pull request comes from a fork, for which GitHub’s token may only read.',
  dependabot: 'The pull request is Dependabot’s, for which GitHub’s token may only read.'
} as const

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

interface GitHub {
  readonly token: string
  readonly repository: string
  /** That the event is about. */
  readonly pullRequest: EventPullRequest | undefined
}

function readGitHub(): GitHub {
  const repository = environment('GITHUB_REPOSITORY')
  const pullRequest = pullRequestOfEvent(readEvent(), repository)
  return { token: core.getInput('github-token'), repository, pullRequest }
}

/** The payload of the workflow's event; empty where there is none. */
function readEvent(): JsonObject {
  try {
    return asObject(JSON.parse(readFileSync(environment('GITHUB_EVENT_PATH'), 'utf8')))
  } catch {
    return {}
  }
}

function runUrl(): string | undefined {
  const [server, repository, id] = [
    environment('GITHUB_SERVER_URL'),
    environment('GITHUB_REPOSITORY'),
    environment('GITHUB_RUN_ID')
  ]
  if (repository === '' || id === '') return undefined
  return `${server}/${repository}/actions/runs/${id}/attempts/${environment('GITHUB_RUN_ATTEMPT') || '1'}`
}

/** The docs of the very version that runs; GITHUB_ACTION_REPOSITORY is empty for an action of the workflow's own repository. */
function docsUrl(): string {
  const repository = environment('GITHUB_ACTION_REPOSITORY') || environment('GITHUB_REPOSITORY')
  const ref = environment('GITHUB_ACTION_REF') || environment('GITHUB_SHA') || 'main'
  return `${environment('GITHUB_SERVER_URL') || 'https://github.com'}/${repository}/blob/${ref}/docs`
}

function environment(name: string): string {
  return process.env[name] ?? ''
}

await main()
