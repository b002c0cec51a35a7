import type { Code } from '../../errors.ts'
import { sameKmsProfile } from '../../model/kms-profile.ts'
import type { ProofReport, RunReport } from '../../model/report.ts'
import { alert, bold, code } from '../markdown.ts'
import { problemsOf } from '../problems.ts'
import { clusterNames, formatNumber, isVault, plural } from '../text.ts'
import { problemBlocks } from './findings.ts'
import { unadvisedKeys } from './keys.ts'
import { blocks, keyCode, type Section } from './section.ts'

/** Where the same operation would end the same way: the fix names another. */
const OTHER_WAYS_OUT: ReadonlySet<Code | undefined> = new Set<Code>(['kms-v1-never-stale'])

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
      green || untouched || OTHER_WAYS_OUT.has(report.error?.code) ? '' : howToGoOn(report)
    )
  )
}

function stateOf(report: RunReport): string {
  const sentences = [changeOf(report)]
  const state = report.after?.provisioningState ?? 'Succeeded'
  if (state !== 'Succeeded') sentences.push(`Azure shows it as ${code(state)}.`)
  return `${bold('State:')} ${sentences.join(' ')}`
}

function changeOf(report: RunReport): string {
  if (isVault(report.cluster)) return madeBy(report)
  const { changed, proved, proofs } = report
  const last = proofs.findLast(({ when }) => !changed || when !== 'before-change')
  const under = report.after === undefined ? '' : ' under the present profile'
  const unproved = `${bold(unprovedSecrets(last))}${under}, and may still be ${whereTheyMayBe(report)}`
  if (!changed) {
    const nothing =
      report.after === undefined
        ? 'this run changed nothing but how Secrets are stored.'
        : 'this run changed neither the KMS profile nor the Kubernetes version.'
    return last?.proved === false ? `${nothing} But ${unproved}` : nothing
  }
  const change = report.before === undefined ? 'created' : 'changed'
  if (proved) return `the cluster was ${change}, and every Secret is proved under the present profile.`
  return `the cluster was ${change}, but ${unproved}`
}

function madeBy({ resources }: RunReport): string {
  const made = resources.filter(({ state }) => state === 'made').map(({ name }) => code(name))
  return made.length === 0 ? 'this run made nothing.' : `this run made ${made.join(', ')}. All of it stays.`
}

function unprovedSecrets(last: ProofReport | undefined): string {
  const complete = last?.passes.every((pass) => pass.complete) === true
  return complete && last.counts.failed > 0
    ? `${formatNumber(last.counts.failed)} of ${plural(last.counts.total, 'Secret')} are not proved`
    : 'the Secrets are not proved'
}

/** Where a Secret is that was not written since the change; without one, AKS’s previous key, which no API shows. */
function whereTheyMayBe({ before, after }: RunReport): string {
  if (before === undefined && after !== undefined) return 'in etcd without encryption.'
  if (before === undefined || after === undefined || sameKmsProfile(before.kms, after.kms)) {
    return 'under an older key: every one that the cluster has used must stay.'
  }
  return before.kms.enabled
    ? `under ${keyCode(before.kms.keyId)}: it must stay enabled and unexpired.`
    : 'in etcd without encryption.'
}

function keysToKeep(report: RunReport): string {
  const advised = report.keys.filter(({ state }) => state !== 'may-be-retired').map(({ keyId }) => keyId)
  const keys = [...advised, ...unadvisedKeys(report)]
  if (keys.length === 0) return ''
  return `${bold('Keep enabled and unexpired')} until a run is green: ${keys.map(keyCode).join(', ')}`
}

function howToGoOn({ operation, cluster, steps }: RunReport): string {
  const { name, resourceGroup } = clusterNames(cluster)
  const inputs = [`operation: ${operation}`]
  // Where Azure knows no cluster, its kubeconfig led to it.
  if (isVault(cluster)) inputs.push(`key-vault-resource-id: ${cluster}`)
  else if (resourceGroup === undefined) inputs.push('kubeconfig')
  else inputs.push(`cluster-name: ${name}`, `resource-group: ${resourceGroup}`)
  return `${bold('To go on,')} run it again with the same inputs (${inputs.map(code).join(', ')})${
    steps.length > 0 ? ': it goes on where this run stopped.' : '.'
  }`
}
