import { refusal, type Finding } from '../model/finding.ts'
import type { Observed } from '../model/observed.ts'

/** Whether every Secret of the cluster may be listed and patched: without that nothing can be proved. */
export function checkSecretsAccess({ missingRights, cluster }: Observed): readonly Finding[] {
  if (missingRights.length === 0) return []
  const rights = missingRights.map(({ verb, resource }) => `${verb} ${resource}`).join(', ')
  const message = `The identity of this workflow lacks rights in the cluster, in all namespaces: ${rights}.`
  if (cluster?.azureRbac !== true) return [refusal('secrets-forbidden', message)]
  return [
    refusal(
      'secrets-forbidden',
      message,
      `Give it a role: \`az role assignment create --assignee <client id> --role "Azure Kubernetes Service RBAC Writer" --scope ${cluster.id}\`, or apply docs/kubernetes-rbac.yml. A role that was given in the last minutes may not have spread yet.`
    )
  ]
}
