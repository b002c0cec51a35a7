import type { RunReport } from '../../model/report.ts'
import { alert, bold, code } from '../markdown.ts'
import { problemsOf } from '../problems.ts'
import { clusterNames, formatNumber, plural } from '../text.ts'
import { problemBlocks } from './findings.ts'
import { unadvisedKeys } from './keys.ts'
import { blocks, keyCode, type Section } from './section.ts'

/** Of a run that is not green: what is wrong, what it leaves behind, and how to go on. */
export const problemSection: Section = (report, context) => {
  const problems = problemsOf(report)
  const green = report.result === 'done' || report.result === 'planned'
  if (green && problems.length === 0) return ''
  // A refusal before any change puts no key at risk, and its fix may well be another operation.
  const untouched = report.result === 'refused' && !report.changed
  return alert(
    report.result === 'cancelled' && !report.changed ? 'WARNING' : 'CAUTION',
    blocks(
      problemBlocks(problems, context),
      green ? '' : stateOf(report),
      green || untouched ? '' : keysToKeep(report),
      green || untouched ? '' : howToGoOn(report)
    )
  )
}

function stateOf(report: RunReport): string {
  const sentences = [changeOf(report)]
  const state = report.after?.provisioningState ?? 'Succeeded'
  if (state !== 'Succeeded') sentences.push(`Azure shows it as ${code(state)}.`)
  return `${bold('State:')} ${sentences.join(' ')}`
}

function changeOf({ changed, proved, proofs }: RunReport): string {
  if (!changed) return 'this run changed neither the KMS profile nor the Kubernetes version.'
  if (proved) return 'the cluster was changed, and every Secret is proved under its present profile.'
  const last = proofs.findLast(({ when }) => when !== 'before-change')?.counts
  const unproved =
    last === undefined || last.failed === 0
      ? 'its Secrets are not proved'
      : `${formatNumber(last.failed)} of ${plural(last.total, 'Secret')} are not proved`
  return `the cluster was changed, but ${bold(unproved)} under its present profile.`
}

function keysToKeep(report: RunReport): string {
  const advised = report.keys.filter(({ state }) => state !== 'may-be-retired').map(({ keyId }) => keyId)
  const keys = [...advised, ...unadvisedKeys(report)]
  if (keys.length === 0) return ''
  return `${bold('Keep enabled and unexpired')} until a run is green: ${keys.map(keyCode).join(', ')}`
}

function howToGoOn({ operation, cluster, steps }: RunReport): string {
  const { name, resourceGroup } = clusterNames(cluster)
  const inputs = [`operation: ${operation}`, `cluster-name: ${name}`]
  if (resourceGroup !== undefined) inputs.push(`resource-group: ${resourceGroup}`)
  return `${bold('To go on,')} run it again with the same inputs (${inputs.map(code).join(', ')})${
    steps.length > 0 ? ': it goes on where this run stopped.' : '.'
  }`
}
