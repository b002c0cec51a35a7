import { CATALOG } from '../../errors.ts'
import type { RunReport, RunResult } from '../../model/report.ts'
import { bold, code, link, prose } from '../markdown.ts'
import { clip, clusterNames, formatDuration, formatTime, isVault, plural } from '../text.ts'
import type { Section } from './section.ts'

const VERDICT: Readonly<Record<RunResult, string>> = {
  done: '✅',
  planned: '📝',
  refused: '⛔',
  failed: '❌',
  cancelled: '⏹️'
}

/** Icon and sentence, and in a line below what ran where. */
export const verdict: Section = (report, { limits }) => {
  const { name, resourceGroup, subscriptionId } = clusterNames(report.cluster)
  const facts = [
    code(report.operation) + (report.dryRun ? ' (dry run)' : ''),
    name === '' ? '' : `${isVault(report.cluster) ? 'vault' : 'cluster'} ${bold(code(name))}`,
    resourceGroup === undefined ? '' : `resource group ${code(resourceGroup)}`,
    subscriptionId === undefined ? '' : `subscription ${code(subscriptionId)}`,
    report.result,
    formatTime(report.startedAt),
    formatDuration(report.durationMs),
    report.run === undefined ? '' : link('workflow run', report.run)
  ].filter((fact) => fact !== '')
  return `### ${iconOf(report)} ${prose(clip(headline(report), limits.cell))}\n\n${facts.join(' · ')}`
}

/** A run that only looks is done whatever it sees; what it sees is the verdict. */
function iconOf({ result, plan, clusters = [] }: RunReport): string {
  if (result === 'planned' && plan?.refused === true) return VERDICT.refused
  if (clusters.some((cluster) => cluster.result === 'failing')) return VERDICT.failed
  return clusters.some((cluster) => cluster.result !== 'ok') ? '⚠️' : VERDICT[result]
}

/** One sentence at a glance: an error's message may be long and stands below, and what a plan leads to has not happened. */
function headline({ result, sentence, error, plan }: RunReport): string {
  if (result === 'planned' && plan !== undefined) {
    const steps = plural(plan.steps.length, 'step')
    if (plan.refused) return `Dry run: refused after ${steps}. Nothing was changed.`
    return plan.steps.length === 0 ? `Dry run: ${plan.sentence}` : `Dry run: ${steps} to take. Nothing was changed.`
  }
  return error?.message === sentence ? CATALOG[error.code].title : sentence
}
