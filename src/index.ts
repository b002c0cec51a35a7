import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import * as core from '@actions/core'
import { ActionError, toActionError, type Code } from './errors.ts'
import { rejectedReport } from './journal.ts'
import type { Log } from './log.ts'
import { run } from './main.ts'
import type { RunReport } from './model/report.ts'
import { createPlatform } from './platform.ts'
import { annotationsOf } from './report/annotations.ts'
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
  // Hardly anything outlives a request, so a small heap costs little, while a runner may be small too.
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--heap-growing-percent=20')
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
    return rejectedReport(core.getInput('operation'), toActionError(error))
  }
  const platform = createPlatform(request, {
    getIdToken: (audience) => core.getIDToken(audience),
    run: runUrl(),
    log,
    signal: AbortSignal.any([cancellation(), timeout(request.timeout)])
  })
  return await run(request, platform)
}

async function readRequest(): Promise<Request> {
  parseBoolean('show-summary', core.getInput('show-summary'))
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
  for (const [name, value] of Object.entries(outputsOf(report, path))) core.setOutput(name, value)

  core.info(report.sentence)
  for (const { level, title, message } of annotationsOf(report, docsUrl())) core[ANNOTATE[level]](message, { title })
  if (core.getInput('show-summary').toLowerCase() === 'false') return
  try {
    await core.summary.addRaw(fitSummary(report, { docsUrl: docsUrl() })).write()
  } catch (error) {
    core.warning(`The job summary could not be written: ${toActionError(error).message}`)
  }
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
