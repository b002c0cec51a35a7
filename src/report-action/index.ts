import * as core from '@actions/core'
import { docsUrl, environment, runUrl } from '../environment.ts'
import { ActionError, toActionError } from '../errors.ts'
import { createGitHubClient } from '../github/client.ts'
import { parseAge } from '../model/age.ts'
import { assessFleet, failedOf, readLeg, type Fleet } from '../model/fleet.ts'
import { renderFleet } from '../report/fleet/summary.ts'
import { parseBoolean } from '../request.ts'
import { keepIssue, type IssueWish } from './issue.ts'
import { readReportFiles } from './report-files.ts'

/** GitHub drops a larger summary as a whole; its limit is 1 MiB, and a character has at most four bytes. */
const LONGEST_SUMMARY = 250_000

/** How long GitHub is tried for an issue, in milliseconds. */
const PATIENCE = 120_000

interface Inputs {
  readonly reports: string
  readonly expected: readonly string[] | undefined
  /** Undefined: no issue is wished for. */
  readonly issue: IssueWish | undefined
  readonly maxKeyAge: number | undefined
  readonly fail: boolean
}

async function main(): Promise<void> {
  const inputs = readInputs()
  const files = await readReportFiles(inputs.reports)
  // actions/download-artifact makes no folder for an artifact that is the only one.
  const only = files.length === 1 && inputs.expected?.length === 1 ? inputs.expected[0] : undefined
  const legs = files.flatMap(({ text, folder }) => readLeg(text, folder === '' ? (only ?? '') : folder) ?? [])
  if (legs.length === 0 && inputs.expected === undefined) {
    throw new ActionError(
      'input-invalid',
      `The folder ${inputs.reports} of the input reports has no report of a run in it.`
    )
  }
  const fleet = assessFleet(legs, inputs.expected, { maxKeyAge: inputs.maxKeyAge, now: Date.now() })
  const failed = failedOf(fleet)

  await writeSummary(fleet)
  const issueUrl = inputs.issue === undefined ? '' : await issue(fleet, inputs.issue)
  core.setOutput('result', failed.length === 0 ? 'success' : 'failure')
  core.setOutput('failed', failed.length)
  core.setOutput('failed-names', JSON.stringify(failed.map(({ name }) => name)))
  core.setOutput('issue-url', issueUrl)
  core.info(`${String(failed.length)} of ${String(fleet.clusters.length)} clusters failed.`)
  for (const { name, sentence, problem } of failed)
    core.error(sentence, { title: [name, problem?.code].filter(Boolean).join(': ') })
  if (inputs.fail && failed.length > 0) process.exitCode = 1
}

function readInputs(): Inputs {
  const title = core.getInput('issue-title') || 'KMS etcd encryption needs attention'
  const labels = core
    .getInput('issue-labels')
    .split(/[,\n]/)
    .map((label) => label.trim())
  const maxKeyAge = parseAge(core.getInput('max-key-age'))
  if (maxKeyAge === undefined && core.getInput('max-key-age') !== '') {
    throw new ActionError(
      'input-invalid',
      `The input max-key-age is “${core.getInput('max-key-age')}”; expected is a time such as 90d, 12w or 36h.`
    )
  }
  return {
    reports: core.getInput('reports') || 'reports',
    expected: parseExpected(core.getInput('expected')),
    issue: parseBoolean('issue', core.getInput('issue'))
      ? { title, labels: labels.filter((label) => label !== '') }
      : undefined,
    maxKeyAge,
    fail: parseBoolean('fail', core.getInput('fail') || 'true')
  }
}

function parseExpected(text: string): readonly string[] | undefined {
  if (text === '') return undefined
  const invalid = new ActionError(
    'input-invalid',
    'The input expected must be a JSON array of names, such as ["prod-weu","prod-neu"].'
  )
  let names: unknown
  try {
    names = JSON.parse(text)
  } catch {
    throw invalid
  }
  if (!Array.isArray(names)) throw invalid
  const texts = names.filter((name) => typeof name === 'string')
  if (texts.length < names.length) throw invalid
  return texts
}

/** A summary that can't be written turns no run red. */
async function writeSummary(fleet: Fleet): Promise<void> {
  try {
    await core.summary.addRaw(renderFleet(fleet, { docsUrl: docsUrl(), run: runUrl() }, LONGEST_SUMMARY)).write()
  } catch (error) {
    core.warning(`The job summary could not be written: ${toActionError(error).message}`)
  }
}

/** What keeps the issue from being written turns no run red. */
async function issue(fleet: Fleet, wish: IssueWish): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE)
  const client = createGitHubClient({
    token: core.getInput('github-token'),
    repository: environment('GITHUB_REPOSITORY'),
    signal
  })
  try {
    const url = await keepIssue(client, signal, fleet, wish, { docsUrl: docsUrl(), run: runUrl() })
    if (url !== undefined) core.info(`The issue is ${url}`)
    return url ?? ''
  } catch (error) {
    const { code, message, fix } = toActionError(error)
    core.warning(`${message}\nFix: ${fix}`, { title: `The issue is not up to date: ${code}` })
    return ''
  }
}

try {
  await main()
} catch (error) {
  const { code, message, fix } = toActionError(error)
  core.setFailed(`${code}: ${message}\nFix: ${fix}\n${docsUrl()}/troubleshooting.md#${code}`)
}
