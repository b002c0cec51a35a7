import type { Bed } from '../../testbed/bed.ts'
import type { WorkflowRun } from './act.ts'

/** The variables that the examples for one cluster name, for the bed's cluster. */
export function variablesOf({ azure, cluster }: Pick<Bed, 'azure' | 'cluster'>): Readonly<Record<string, string>> {
  return {
    AZURE_CLIENT_ID: azure.application.applicationId,
    AZURE_TENANT_ID: azure.tenantId,
    AZURE_SUBSCRIPTION_ID: cluster.subscriptionId,
    AKS_RESOURCE_GROUP: cluster.resourceGroup,
    AKS_CLUSTER_NAME: cluster.name
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
