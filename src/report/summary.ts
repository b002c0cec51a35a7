import type { RunReport } from '../model/report.ts'
import { apiServersSection } from './sections/api-servers.ts'
import { approvalSection } from './sections/approval.ts'
import { clusterSection } from './sections/cluster.ts'
import { clustersSection } from './sections/clusters.ts'
import { failuresSection } from './sections/failures.ts'
import { findingsSection } from './sections/findings.ts'
import { keysSection } from './sections/keys.ts'
import { planSection } from './sections/plan.ts'
import { nextRotationSection } from './sections/next-rotation.ts'
import { problemSection } from './sections/problem.ts'
import { resourcesSection } from './sections/resources.ts'
import { namespacesSection, passesSection, secretsSection } from './sections/secrets.ts'
import { blocks, type Limits, type Section } from './sections/section.ts'
import { stepsSection } from './sections/steps.ts'
import { verdict } from './sections/verdict.ts'

const FULL: Limits = {
  visibleNamespaces: 10,
  namespaces: 200,
  failures: 50,
  findings: 50,
  clusters: 200,
  rows: 100,
  message: 2000,
  cell: 300
}
const SHORT: Limits = {
  visibleNamespaces: 5,
  namespaces: 5,
  failures: 10,
  findings: 3,
  clusters: 50,
  rows: 10,
  message: 300,
  cell: 150
}

/** GitHub drops a larger summary as a whole; its limit is 1 MiB. Source: actions/runner, src/Runner.Worker/FileCommandManager.cs */
const LARGEST_SUMMARY = 1_000_000

export interface SummaryOptions {
  /** Where the docs folder is served, without a slash at the end. */
  readonly docsUrl?: string
}

/** The report of a run as GitHub Flavored Markdown: the verdict first, then what is to be done, then what was done. */
export function renderSummary(report: RunReport, options: SummaryOptions = {}): string {
  return render(report, options, FULL)
}

/** The summary, or where it has more bytes than fit, a short form of it that says so. */
export function fitSummary(report: RunReport, options: SummaryOptions = {}, largest = LARGEST_SUMMARY): string {
  const full = renderSummary(report, options)
  if (Buffer.byteLength(full) <= largest) return full
  return `${render(report, options, SHORT)}\nThis is the short form, because the whole would not fit here. All of it is in the JSON report (output \`report\`).\n`
}

const SECTIONS: readonly Section[] = [
  verdict,
  problemSection,
  findingsSection,
  nextRotationSection,
  planSection,
  approvalSection,
  resourcesSection,
  failuresSection,
  clustersSection,
  clusterSection,
  secretsSection,
  apiServersSection,
  keysSection,
  namespacesSection,
  passesSection,
  stepsSection
]

function render(report: RunReport, { docsUrl = 'docs' }: SummaryOptions, limits: Limits): string {
  return `${blocks(...SECTIONS.map((section) => section(report, { docsUrl, limits })))}\n`
}
