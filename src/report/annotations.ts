import type { Finding } from '../model/finding.ts'
import type { RunReport } from '../model/report.ts'
import { problemsOf, type Problem } from './problems.ts'
import { clip, clusterNames, troubleshootingUrl } from './text.ts'

export interface Annotation {
  readonly level: 'error' | 'warning' | 'notice'
  readonly title: string
  /** Plain text of one or more lines. */
  readonly message: string
}

/** GitHub keeps as many of each level per step. Source: actions/runner, src/Runner.Worker/ExecutionContext.cs */
const MOST_PER_LEVEL = 10

/** GitHub cuts longer messages, in characters. Source: as above. */
const LONGEST_MESSAGE = 4096

/** What shows at the head of the workflow run's page: errors first, then warnings and notices. */
export function annotationsOf(report: RunReport, docsUrl: string): readonly Annotation[] {
  const ofSeverity = (severity: Finding['severity']): readonly Finding[] =>
    report.findings.filter((finding) => finding.severity === severity)
  return [
    ...annotate('error', problemsOf(report)),
    ...annotate('warning', ofSeverity('warning')),
    ...annotate('notice', ofSeverity('note'))
  ]

  function annotate(level: Annotation['level'], problems: readonly Problem[]): readonly Annotation[] {
    const title = [report.operation, clusterNames(report.cluster).name].filter((name) => name !== '').join(' on ')
    const shown = problems.length > MOST_PER_LEVEL ? problems.slice(0, MOST_PER_LEVEL - 1) : problems
    const annotations = shown.map(({ code, message, fix }) => {
      const rest = `\nFix: ${clip(fix, 1000)}\n${troubleshootingUrl(docsUrl, code)}`
      return {
        level,
        title: title === '' ? code : `${title}: ${code}`,
        message: clip(message, LONGEST_MESSAGE - rest.length) + rest
      }
    })
    const left = problems.length - shown.length
    return left === 0
      ? annotations
      : [...annotations, { level, title, message: `${String(left)} more: see the summary of this job.` }]
  }
}
