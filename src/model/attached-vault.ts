import type { Key } from './key-id.ts'
import type { NetworkAccess } from './kms-profile.ts'

/** A key, and how AKS is to reach its vault. */
export interface Attachment {
  readonly key: Key
  readonly networkAccess: NetworkAccess
}

/** A vault that a run has to do with, as far as profiles and inputs tell of it. */
export interface AttachedVault {
  /** `https://<vault>`, without a slash at the end. */
  readonly url: string
  readonly name: string
  /** ARM id; undefined where nobody named it. */
  readonly id: string | undefined
  /** AKS reaches it by a private endpoint, and a runner outside its network not at all. */
  readonly isPrivate: boolean
  /** Names of the keys in question. */
  readonly keyNames: readonly string[]
}

/** The vaults of some keys, each once; an id, wherever it was named, belongs to the vault of its name. */
export function attachedVaults(
  attachments: readonly Attachment[],
  resourceIds: readonly (string | undefined)[]
): readonly AttachedVault[] {
  const vaults = new Map<string, AttachedVault>()
  for (const { key, networkAccess } of attachments) {
    const url = key.vaultUrl.toLowerCase()
    const known = vaults.get(url)
    vaults.set(url, {
      url: key.vaultUrl,
      name: key.vaultName,
      id: vaultIdFor(key, resourceIds),
      isPrivate: known?.isPrivate === true || networkAccess === 'Private',
      keyNames: [...new Set([...(known?.keyNames ?? []), key.name])]
    })
  }
  return [...vaults.values()]
}

/** The one of some ARM ids that is of a key's vault. */
export function vaultIdFor({ vaultName }: Key, resourceIds: readonly (string | undefined)[]): string | undefined {
  return resourceIds.find((id) => id?.split('/').at(-1)?.toLowerCase() === vaultName.toLowerCase())
}
