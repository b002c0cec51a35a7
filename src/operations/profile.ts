import { vaultIdFor } from '../model/attached-vault.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import { kmsOn, type KmsOn } from '../model/kms-profile.ts'
import { vaultOf, type ObservedCluster } from '../model/observed.ts'
import type { Request } from '../request.ts'

/** The profile with a key version: reached as asked for, else as the cluster has it; its vault by its id, as named or as found. */
export function profileWith(keyId: string, request: Request, observed: ObservedCluster): KmsOn {
  const present = observed.cluster.kms.enabled ? observed.cluster.kms : undefined
  const key = keyVersionFrom(keyId)
  const vault = key && vaultOf(observed, key.vaultUrl)
  const found = vault?.kind === 'readable' ? vault.vault.id : undefined
  const named = [request.vaultResourceId, present?.vaultResourceId]
  return kmsOn(
    keyId,
    request.networkAccess ?? present?.networkAccess ?? 'Public',
    (key && vaultIdFor(key, named)) ?? found
  )
}
