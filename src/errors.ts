/**
 * The closed set of codes: everything that this action refuses, warns of or fails with. The code is also the anchor of its
 * section in docs/troubleshooting.md.
 */
export const CATALOG = {
  // What was asked
  'input-missing': {
    title: 'A required input is missing.',
    fix: 'Set the input in the step’s `with:` block, or the environment variable named in the message.'
  },
  'input-invalid': { title: 'An input has a value that can’t be used.', fix: 'Correct the value as the message says.' },
  'operation-unknown': {
    title: 'The operation is not known.',
    fix: 'Use one of the operations named in the message.'
  },
  'key-id-malformed': {
    title: 'The key id is not a Key Vault key identifier.',
    fix: 'Copy it with `az keyvault key show --vault-name <vault> --name <key> --query key.kid -o tsv`.'
  },
  'key-id-versionless': {
    title: 'The key id has no version, but AKS pins one version of a key.',
    fix: 'Add the version: `az keyvault key show --vault-name <vault> --name <key> --query key.kid -o tsv`.'
  },
  'key-id-not-a-key': {
    title: 'The identifier is of a Key Vault secret or certificate, not of a key.',
    fix: 'Pass the identifier of an RSA key, `https://<vault>/keys/<name>/<version>`.'
  },
  'key-id-managed-hsm': {
    title: 'The key is in a Managed HSM, which KMS etcd encryption on AKS does not take.',
    fix: 'Use an RSA or RSA-HSM key in a Key Vault.'
  },
  'key-id-other-cloud': {
    title: 'The key’s vault does not belong to the chosen Azure cloud.',
    fix: 'Correct `azure-cloud` or `key-id`, so that both name the same cloud.'
  },
  'desired-state-invalid': {
    title: 'The desired state can’t be used.',
    fix: 'Correct the file as the message says. docs/desired-state.md shows a whole one, and its schema for editors.'
  },

  'cluster-definition-invalid': {
    title: 'The definition of the cluster can’t be used.',
    fix: 'Write it as Azure Resource Manager has clusters: `az rest --method get --url "<id of a cluster>?api-version=2025-10-01"` shows one.'
  },

  // Signing in
  'oidc-unavailable': {
    title: 'GitHub gave no ID token.',
    fix: 'Add `permissions: id-token: write` to the job. Pull requests from forks and by Dependabot never get one.'
  },
  'federated-credential-mismatch': {
    title: 'Microsoft Entra ID has no federated credential that matches this workflow’s ID token.',
    fix: 'Create the federated credential shown in the message.'
  },
  'tenant-not-found': { title: 'The tenant does not exist.', fix: 'Correct `tenant-id`.' },
  'client-not-found': {
    title: 'The tenant has no application or managed identity with this client id.',
    fix: 'Correct `client-id` or `tenant-id`; check that the application was created in this tenant.'
  },
  'sign-in-failed': {
    title: 'Signing in to Azure failed.',
    fix: 'Read the message of Microsoft Entra ID; run the job again if it speaks of a temporary condition.'
  },
  'tenant-mismatch': {
    title: 'The subscription belongs to another tenant than the one signed in to.',
    fix: 'Correct `tenant-id` or `subscription-id`: `az account show --subscription <id> --query tenantId`.'
  },
  'subscription-not-found': {
    title: 'The subscription does not exist, or the identity has no role in it.',
    fix: 'Correct `subscription-id`, or give the identity a role on the cluster.'
  },
  'resource-group-not-found': {
    title: 'The resource group does not exist.',
    fix: 'Correct the name or the id: `az group list -o table`; or make it: `az group create --name <name> --location <location>`.'
  },
  'authorization-failed': {
    title: 'The identity lacks an Azure permission.',
    fix: 'Check the names first: Azure says the same of what does not exist. Then grant the action named in the message; docs/permissions.md lists the least set of roles.'
  },
  'linked-authorization-failed': {
    title: 'The identity lacks a permission on a resource that the cluster refers to.',
    fix: 'Every cluster update checks these too: grant the named action, for the control-plane identity by `Managed Identity Operator`.'
  },

  // The cluster
  'cluster-not-found': {
    title: 'The cluster does not exist.',
    fix: 'Correct `resource-group`, `cluster-name` or `subscription-id`: `az aks list -o table`.'
  },
  'cluster-exists': {
    title: 'The cluster exists already, and not as `create` would make it.',
    fix: 'Use the operation `enable` on it, or `rotate` where KMS etcd encryption is on; or choose another `cluster-name`.'
  },
  'cluster-stopped': {
    title: 'The cluster is stopped.',
    fix: 'Start it with `az aks start -g <resource group> -n <cluster>`, then run this again.'
  },
  'cluster-deleting': { title: 'The cluster is being deleted.', fix: 'Nothing can be done on it any more.' },
  'cluster-failed': {
    title: 'The cluster’s last operation failed.',
    fix: 'Reconcile it with `az aks update -g <resource group> -n <cluster>`, then run this again.'
  },
  'cluster-stuck-updating': {
    title: 'The cluster did not leave its running operation in time.',
    fix: 'Look at `az aks operation show-latest -g <resource group> -n <cluster>`; run this again when it has ended, or `az aks operation-abort`.'
  },
  'identity-assign-forbidden': {
    title: 'The workflow’s identity may not use the cluster’s identity, which every update of the cluster takes.',
    fix: 'Give it `Managed Identity Operator` on the cluster’s user-assigned identity.'
  },
  'identity-not-user-assigned': {
    title: 'The cluster has no user-assigned identity, which KMS etcd encryption needs.',
    fix: 'Give it one: `az aks update -g <resource group> -n <cluster> --enable-managed-identity --assign-identity <identity id>`.'
  },
  'local-accounts-disabled': {
    title: 'The cluster gives out no administrator certificate, because local accounts are disabled.',
    fix: 'Turn on Microsoft Entra integration for the cluster, or pass `kubeconfig`.'
  },
  'cluster-changing': {
    title: 'The cluster is under an operation.',
    fix: 'Look again when it has ended: what is shown now may not be in force yet.'
  },
  'kms-v1': {
    title: 'The cluster runs KMS v1, which takes at most 2,000 Secrets and keeps it below Kubernetes 1.27.',
    fix: 'Run `migrate-v2`.'
  },
  'kms-data-encryption': {
    title: 'The cluster has the newer “KMS data encryption”, in which AKS itself rotates the key and re-encrypts.',
    fix: 'Nothing is to be done here, and it can’t be turned off. To make sure that every Secret is under the present key, use `re-encrypt`.'
  },
  'kms-v1-too-many-secrets': {
    title: 'AKS supports KMS v1 with at most 2,000 Secrets, and the cluster has more.',
    fix: 'Upgrade the cluster to Kubernetes 1.27 or newer, where KMS v2 has no such limit (`az aks upgrade -g <resource group> -n <cluster> -k <version>`), then run this again.'
  },
  'kms-v1-slow': {
    title: 'The cluster has more Secrets than AKS supports with KMS v1, so that the run goes slowly over them.',
    fix: 'Raise `timeout-minutes` if it is too short for that. Once `migrate-v2` has brought the cluster to KMS v2, Key Vault is no longer asked for each Secret.'
  },

  // The vault
  'vault-deleted': {
    title: 'The vault is deleted, and can still be recovered.',
    fix: 'Recover it: `az keyvault recover --name <vault>`; or name another one.'
  },
  'vault-name-taken': {
    title: 'The name of the vault is taken: every name exists once in the whole cloud.',
    fix: 'Choose another name in `key-vault-resource-id`; or correct its subscription and resource group where the vault is yours.'
  },
  'resource-differs': {
    title: 'What was there already is otherwise than it was asked for, and was left as it is.',
    fix: 'Change it yourself, or ask for what is there.'
  },
  'vault-not-visible': {
    title: 'The workflow’s identity does not see the vault, so that nothing about it can be checked.',
    fix: 'Give it `Reader` on the vault. If the vault is in another subscription than the cluster, name it by `key-vault-resource-id`.'
  },
  'vault-other-tenant': {
    title: 'The vault belongs to another tenant than the cluster, and AKS takes no such vault.',
    fix: 'Use a vault in the cluster’s tenant: `az keyvault list --query "[].{name:name, tenant:properties.tenantId}" -o table`.'
  },
  'vault-public-access-disabled': {
    title: 'The vault takes no connections from public networks, and Public was asked for.',
    fix: 'Set `key-vault-network-access: Private` and `key-vault-resource-id`, or open the vault: `az keyvault update --name <vault> --public-network-access Enabled`.'
  },
  'vault-selected-networks': {
    title: 'The vault’s firewall admits selected networks only, which AKS does not support.',
    fix: 'Admit all networks: `az keyvault update --name <vault> --default-action Allow`; or close it to public networks and use `Private`.'
  },
  'vault-used-by-others': {
    title: 'Other clusters use the vault through public networks, and would lose their API server when it is closed.',
    fix: 'Take them off it first: `rotate` to a key in another vault, or `disable`, and `enable` with `Private` when the vault is closed.'
  },
  'vnet-integration-missing': {
    title: 'A Private vault needs API Server VNet Integration, which this cluster does not have.',
    fix: 'Turn it on, which can’t be undone: `az aks update -g <resource group> -n <cluster> --enable-apiserver-vnet-integration`, then stop and start the cluster; or use a Public vault.'
  },
  'private-vault-over-konnectivity': {
    title: 'The cluster reaches its Private vault over Konnectivity, and AKS changes no such KMS profile any more.',
    fix: 'Turn on API Server VNet Integration: `az aks update -g <resource group> -n <cluster> --enable-apiserver-vnet-integration`, then stop and start the cluster.'
  },
  'private-endpoint-approval-missing': {
    title: 'The cluster’s identity may not approve the private endpoint that AKS makes to the vault.',
    fix: 'Give the control-plane identity `Key Vault Contributor` on the vault.'
  },
  'data-plane-unreachable': {
    title:
      'A key version can’t be made or repaired from here: the Private vault’s data plane does not answer this runner.',
    fix: 'Let a rotation policy on the key make new versions, or make one yourself and run this again; name a version by `key-id`; or use a runner inside the vault’s network.'
  },
  'purge-protection-missing': {
    title: 'The keys of the vault can be purged, and every Secret under them with it.',
    fix: 'Turn purge protection on: `az keyvault update --name <vault> --enable-purge-protection true`.'
  },

  // The key
  'key-not-found': {
    title: 'The key version does not exist in its vault.',
    fix: 'List them: `az keyvault key list-versions --vault-name <vault> --name <key> -o table`.'
  },
  'key-deleted': {
    title: 'The key is deleted, and can still be recovered.',
    fix: 'Recover it: `az keyvault key recover --vault-name <vault> --name <key>`.'
  },
  'key-forbidden': {
    title: 'The identity of this workflow may not read or rotate the key.',
    fix: 'Give it `Key Vault Crypto User` on the key, or `Key Vault Crypto Officer` where it makes new versions or recovers the key.'
  },
  'key-vault-unreachable': {
    title: 'The vault’s data plane does not answer this runner.',
    fix: 'Check the vault’s network rules, or run on a runner inside the network.'
  },
  'key-not-rsa': {
    title: 'The key is not an RSA key, and the KMS plugin of AKS encrypts with RSA only.',
    fix: 'Make an RSA key: `az keyvault key create --vault-name <vault> --name <key> --kty RSA --size 3072`.'
  },
  'key-lacks-operations': {
    title: 'The key does not permit `encrypt` and `decrypt`.',
    fix: 'Permit them: `az keyvault key set-attributes --id <key id> --ops encrypt decrypt wrapKey unwrapKey`.'
  },
  'key-disabled': {
    title: 'The key version is disabled.',
    fix: 'Enable it: `az keyvault key set-attributes --id <key id> --enabled true`.'
  },
  'key-expired': {
    title: 'The key version has expired.',
    fix: 'Extend it: `az keyvault key set-attributes --id <key id> --expires <UTC time>`, or choose another version.'
  },
  'key-expires-soon': {
    title: 'The key version expires soon.',
    fix: 'Extend it: `az keyvault key set-attributes --id <key id> --expires <UTC time>`, or choose another version.'
  },
  'key-not-yet-valid': {
    title: 'The key version is not valid yet.',
    fix: 'Wait until then, or change its start: `az keyvault key set-attributes --id <key id> --not-before <UTC time>`.'
  },
  'newer-key-version': {
    title: 'The key has newer versions than the one in use.',
    fix: 'Run `rotate` to use the newest: AKS stays at the version that it pins.'
  },
  'rotation-overdue': {
    title: 'The rotation has been due for more than a day.',
    fix: 'Run `rotate`, and look at why the schedule did not: GitHub may have switched it off, or its runs are red.'
  },
  'current-key-unusable': {
    title: 'The key version in use can’t be used any more, and without it the API servers stop working.',
    fix: 'Run `rotate` with `repair: true`: it makes the key version usable again, waits for the API servers, and rotates off it.'
  },
  'current-key-lost': {
    title: 'The key version in use no longer exists in its vault.',
    fix: 'Don’t stop, upgrade or change the cluster: what its API servers still have in memory is all there is. See whether the key can be recovered, `az keyvault key list-deleted --vault-name <vault>`; else restore it from a backup with `az keyvault key restore`, or call Azure Support.'
  },
  'previous-key-unusable': {
    title: 'AKS still holds the key version before the one in use, and it can’t be used any more.',
    fix: 'Make it usable again, or run `rotate`: after it AKS holds that key version no longer.'
  },
  'key-expires-before-rotation': {
    title: 'A key version that AKS holds expires before the next rotation is due.',
    fix: 'Extend it: `az keyvault key set-attributes --id <key id> --expires <UTC time>`, or lower `max-key-age`.'
  },
  'key-policy-expires-versions': {
    title: 'The key’s rotation policy gives new versions an expiry, and AKS stays at its version when it comes.',
    fix: 'Take the expiry out of the rotation policy, or rotate on a schedule well before it: AKS holds each key version for two rotations.'
  },
  'key-permission-missing': {
    title: 'The cluster’s identity may not encrypt and decrypt with the key.',
    fix: 'Give the control-plane identity `Key Vault Crypto User` (or the access policy keys encrypt, decrypt); wait some minutes for it to spread; check that the vault’s firewall lets AKS in.'
  },

  'key-permission-unknown': {
    title: 'It can’t be seen whether the cluster’s identity may encrypt and decrypt with the key.',
    fix: 'Give the workflow’s identity `Reader` on the vault. AKS checks it for a Public vault, and can’t for a Private one.'
  },

  // What the operation may do here
  'kms-off': { title: 'KMS etcd encryption is off on this cluster.', fix: 'Use the operation `enable`.' },
  'kms-on-with-another-key': {
    title: 'KMS etcd encryption is already on, with another key.',
    fix: 'Use the operation `rotate` with this `key-id`.'
  },
  'vault-mode-differs': {
    title: 'The vault is attached in the other network mode, which can’t be changed in place.',
    fix: 'Leave `key-vault-network-access` as the cluster has it, or change it with the operation `change-vault-mode`.'
  },
  'kubernetes-version-unavailable': {
    title: 'AKS offers no upgrade from the cluster’s Kubernetes version to the wanted one.',
    fix: 'See `az aks get-upgrades -g <resource group> -n <cluster> -o table`.'
  },
  'key-not-reached': {
    title: 'An interrupted rotation was finished first, so the wanted key version is not in use yet.',
    fix: 'Run the same operation again: it now rotates to the wanted version.'
  },
  'operation-unfinished': {
    title: 'An operation on the cluster has begun and not ended.',
    fix: 'If no run of it is under way now, run that operation again: it goes on where it stopped.'
  },
  'lock-held': {
    title: 'Another run is working on this cluster.',
    fix: 'Wait until it ends, then run this again.'
  },
  'lock-lost': {
    title: 'The lock on the cluster was lost, so this run stopped.',
    fix: 'See who holds the Lease `kms-etcd-encryption`; run this again when nobody does.'
  },
  'lock-forbidden': {
    title: 'The identity may not take the lock on this cluster.',
    fix: 'Grant get, create and update on leases (coordination.k8s.io) in the record’s namespace, or name another by `record-namespace`.'
  },
  'record-forbidden': {
    title: 'The identity may not keep the record in this cluster.',
    fix: 'Grant get, create and update on configmaps in the record’s namespace, or name another by `record-namespace`. The run goes on without.'
  },
  'never-proved': {
    title: 'No run of this action has proved the Secrets of the cluster.',
    fix: 'Run `re-encrypt`, which proves them and writes the record. Until then keep every key version that the cluster has used.'
  },
  'record-out-of-date': {
    title: 'The record in the cluster does not fit what the cluster has: somebody changed it otherwise.',
    fix: 'Run `re-encrypt`, which proves the Secrets and renews the record. Until then keep every key version that the cluster has used.'
  },
  'previous-key-unknown': {
    title: 'The key version that AKS holds as the previous one is not known.',
    fix: 'Keep every key version that the cluster has used, until the next rotation by this action has ended green.'
  },
  'key-must-stay': {
    title: 'A key version that is no longer current must stay enabled and unexpired.',
    fix: 'Retire it only after the next rotation was proved.'
  },

  'plan-changed': {
    title: 'The plan is not the approved one any more.',
    fix: 'Make the plan anew and have it approved: run the plan job of the pull request again, or open another pull request.'
  },
  'plan-not-found': {
    title: 'There is no approved plan to carry out.',
    fix: 'Make one: run the same with `dry-run: true` and `comment: true` on the pull request before it is merged.'
  },

  // GitHub's answers
  'github-forbidden': {
    title: 'The token of this job may not do this on GitHub.',
    fix: 'Grant it in the job’s `permissions:`: `pull-requests: write` to comment, `pull-requests: read` to find an approved plan, `issues: write` to open issues.'
  },
  'github-request-failed': {
    title: 'GitHub did not answer, or only with errors.',
    fix: 'Run this again; githubstatus.com tells of incidents.'
  },

  // Azure's answers
  'cluster-update-rejected': {
    title: 'AKS rejected what the cluster was to be. Nothing was changed.',
    fix: 'Mend what the message names, then run this again.'
  },
  'cluster-update-failed': {
    title: 'AKS began the update of the cluster, and it failed.',
    fix: 'Run the same operation again: it repeats the update. The keys of before must stay until then.'
  },
  'cluster-creation-failed': {
    title: 'AKS began to create the cluster, and failed.',
    fix: 'Mend what the message names. Then delete the cluster with `az aks delete -g <resource group> -n <cluster>`, and run this again.'
  },
  'azure-unavailable': {
    title: 'Azure did not answer, or only with errors, for too long.',
    fix: 'Run this again; it goes on where it stopped.'
  },
  'azure-request-failed': {
    title: 'Azure refused a request.',
    fix: 'Mend what the message names, then run this again.'
  },

  // Kubernetes' answers
  'kubeconfig-invalid': {
    title: 'The kubeconfig can’t be used.',
    fix: 'Check it with `kubectl --kubeconfig <file> get --raw /version`.'
  },
  'api-server-unreachable': {
    title: 'The Kubernetes API server does not answer this runner.',
    fix: 'Check the address in the kubeconfig, and that this runner’s network lets it through: `kubectl get --raw /version`.'
  },
  'api-server-private': {
    title: 'The cluster is private, and its API server does not answer this runner.',
    fix: 'Use a runner in the cluster’s network or in one that is peered with it and resolves its private name: a self-hosted one, or a GitHub-hosted one with Azure private networking. Or pass a `kubeconfig` whose server or `proxy-url` leads there. `az aks command invoke` is no way: it runs one command in a pod and hands its output through Azure.'
  },
  'api-server-authorized-ranges': {
    title: 'The API server admits authorized IP ranges only, and does not answer this runner.',
    fix: 'Add the address that this runner goes out by: `az aks update -g <resource group> -n <cluster> --api-server-authorized-ip-ranges <all ranges>`.'
  },
  'kubernetes-unauthorized': {
    title: 'The Kubernetes API server did not accept the credential.',
    fix: 'Check `kubeconfig`, or that the identity belongs to the cluster’s tenant.'
  },
  'secrets-forbidden': {
    title: 'The identity may not list namespaces, or list or patch Secrets, in all namespaces.',
    fix: 'Bind it to a ClusterRole with list on namespaces and list, patch on secrets: docs/kubernetes-rbac.yml has both. On a cluster with Azure RBAC, `Azure Kubernetes Service RBAC Writer` on the cluster does as well.'
  },
  'secrets-listing-failed': {
    title: 'The Secrets could not all be listed.',
    fix: 'Run this again; keep every key version until it is green.'
  },
  'secrets-failed': {
    title: 'Some Secrets could not be re-encrypted.',
    fix: 'Mend the Secrets listed in the summary, then run the same operation again. Keep every key version until it is green.'
  },
  'secrets-not-settled': {
    title: 'Secrets were still stale in the last pass, so nothing is proved.',
    fix: 'An API server may still write under the old key: run this again in some minutes. Keep every key version until it is green.'
  },
  'secrets-unaccounted': {
    title: 'The counts of a pass do not add up, so nothing is proved.',
    fix: 'Run this again, and report it with the log. Keep every key version until it is green.'
  },
  'api-servers-behind': {
    title: 'An API server still does not write under the cluster’s key, so nothing is proved.',
    fix: 'Run this again in some minutes. If it stays so, ask Azure support to restart the API servers. Keep every key version until it is green.'
  },
  'api-servers-unseen': {
    title: 'Not every API server of the cluster was met.',
    fix: 'Run this operation again, from another network if it stays so. Keep every key version until it is gone.'
  },
  'api-servers-not-ready': {
    title: 'The API servers did not become ready after the key version in use was made usable again.',
    fix: 'Run the same operation again in some minutes. If it stays so, reconcile the cluster with `az aks update -g <resource group> -n <cluster>`, or call Azure Support.'
  },
  'kms-v1-never-stale': {
    title: 'Under KMS v1 the API servers do not see that the key was changed, so no Secret was re-encrypted.',
    fix: 'Run `migrate-v2`, or `disable` and then `enable`: each changes the encryption provider, which makes every Secret stale. Keep every key version until one of them is green.'
  },

  // The run
  cancelled: { title: 'The run was cancelled.', fix: 'Run the same operation again: it goes on where it stopped.' },
  'timed-out': {
    title: 'The run reached its time limit.',
    fix: 'Run the same operation again: it goes on where it stopped. Raise `timeout-minutes` for large clusters.'
  },
  'internal-error': {
    title: 'Something failed that this action did not foresee.',
    fix: 'Run the same operation again; if it happens again, report it with the log.'
  }
} as const satisfies Readonly<Record<string, { readonly title: string; readonly fix: string }>>

export type Code = keyof typeof CATALOG

/** A failure that a person can act on. `message` is one or more sentences that name the thing at fault. */
export class ActionError extends Error {
  readonly code: Code
  /** What to do; the catalogue's, unless the place that threw knows better. */
  readonly fix: string

  constructor(code: Code, message: string, options: { readonly fix?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ActionError'
    this.code = code
    this.fix = options.fix ?? CATALOG[code].fix
  }
}

/** Any thrown value as a failure with a code. */
export function toActionError(error: unknown): ActionError {
  if (error instanceof ActionError) return error
  return new ActionError('internal-error', error instanceof Error ? error.message : String(error), { cause: error })
}

/** Somebody else changed the cluster between reading and writing it: observe again and decide again. */
export class ClusterChangedError extends Error {
  override readonly name = 'ClusterChangedError'
}

/** For `catch`: nothing where the identity may not see what was asked for. */
export function unlessForbidden(error: unknown): undefined {
  if (error instanceof ActionError && error.code === 'authorization-failed') return undefined
  throw error
}
