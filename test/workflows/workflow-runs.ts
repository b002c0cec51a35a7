import type { Bed } from '../../testbed/bed.ts'
import type { WorkflowRun } from './act.ts'

/** The variables that the examples for one cluster name, for the bed's cluster, whether there is one already or not. */
export function variablesOf(bed: Pick<Bed, 'inputs'>): Readonly<Record<string, string>> {
  const inputs = bed.inputs('')
  const of = (name: string): string => inputs[name] ?? ''
  return {
    AZURE_CLIENT_ID: of('client-id'),
    AZURE_TENANT_ID: of('tenant-id'),
    AZURE_SUBSCRIPTION_ID: of('subscription-id'),
    AKS_RESOURCE_GROUP: of('resource-group'),
    AKS_CLUSTER_NAME: of('cluster-name')
  }
}

export function expectGreen(run: WorkflowRun): WorkflowRun {
  if (run.exitCode !== 0) throw new Error(`The workflow is red:\n${run.log}`)
  return run
}

export function expectRed(run: WorkflowRun): WorkflowRun {
  if (run.exitCode !== 1) throw new Error(`The workflow is not red:\n${run.log}`)
  return run
}
