import { vaultIdFor } from '../model/attached-vault.ts'
import { refusal, type Finding } from '../model/finding.ts'
import type { Goal } from '../model/goal.ts'
import { keyVersionFrom, sameKeyVersion } from '../model/key-id.ts'
import { KMS_OFF, sameKmsProfile, type KmsOn, type NetworkAccess } from '../model/kms-profile.ts'
import { vaultOf, withVault, type Observed, type ObservedCluster } from '../model/observed.ts'
import type { Decision } from '../model/step.ts'
import type { Vault } from '../model/vault.ts'
import { adviseProfile, checkProfile } from '../preflight/profile.ts'
import { checkVaultChange } from '../preflight/vault-change.ts'
import type { Request } from '../request.ts'
import { kmsIsOff } from './kms-is-off.ts'
import type { Operation } from './operation.ts'
import { profileWith } from './profile.ts'
import { inForce, isRecorded, proveThenDone, reachProfile, refused, step } from './reach.ts'

/**
 * AKS can't change how an attached vault is reached: prove → off → prove → the vault's network access → on in the other mode
 * with the same key version, or with that of the request → prove. The vault is changed while KMS is off: closed under a cluster
 * that uses it as Public, or still closed when one begins to, it would take the API server down.
 */
export const changeVaultMode: Operation = (request, observed) => {
  const { kms } = observed.cluster
  const { networkAccess } = request
  if (networkAccess === undefined) {
    return refused(refusal('input-missing', '`change-vault-mode` needs `key-vault-network-access`.'))
  }
  const begun = begunEarlier(observed)
  const start = kms.enabled ? kms : begun
  if (start === undefined) return refused(kmsIsOff(observed))
  const otherVault = refuseOtherVault(start.keyId, request)
  if (otherVault !== undefined) return refused(otherVault)
  const isInMode = kms.enabled && kms.networkAccess === networkAccess
  const wanted = isInMode ? kms : profileWith(request.key?.url ?? start.keyId, request, observed)
  if (begun === undefined && inForce(observed.cluster, wanted)) {
    return proveThenDone(
      observed,
      `AKS reached the vault ${WAY[networkAccess]} already.`,
      adviseProfile(observed, wanted)
    )
  }
  const fromKeyId = (begun && observed.goal?.goal.fromKeyId) ?? start.keyId
  const under = sameKeyVersion(wanted.keyId, fromKeyId) ? 'the same key version as before' : wanted.keyId
  const prefix = begun !== undefined && observed.goal?.fromEarlierRun === true ? 'Finished what was interrupted: ' : ''
  return reachMode(
    observed,
    { operation: 'change-vault-mode', kms: wanted, fromKeyId, kubernetesVersion: undefined },
    `${prefix}AKS reaches the vault ${WAY[networkAccess]}, and every Secret is encrypted under ${under}.`
  )
}

/** What this operation was on its way to: KMS off in between is its own doing. */
function begunEarlier({ goal }: Observed): KmsOn | undefined {
  return goal?.goal.operation === 'change-vault-mode' && goal.goal.kms.enabled ? goal.goal.kms : undefined
}

function refuseOtherVault(keyId: string, { vaultResourceId }: Request): Finding | undefined {
  const key = keyVersionFrom(keyId)
  if (key === undefined || vaultResourceId === undefined || vaultIdFor(key, [vaultResourceId]) !== undefined) {
    return undefined
  }
  return refusal(
    'input-invalid',
    `The input key-vault-resource-id is ${vaultResourceId}, but the cluster uses the vault ${key.vaultName}.`,
    'Set it to the id of the vault in use. To go to another vault, in whichever mode, use `rotate` with a `key-id` in it.'
  )
}

function reachMode(observed: ObservedCluster, goal: Goal & { readonly kms: KmsOn }, sentence: string): Decision {
  const { kms: wanted } = goal
  // Set already, and perhaps it failed.
  if (sameKmsProfile(observed.cluster.kms, wanted)) return reachProfile(observed, goal, wanted, { sentence })

  const { vaultUrl = '' } = keyVersionFrom(wanted.keyId) ?? {}
  const seen = vaultOf(observed, vaultUrl)
  if (seen?.kind !== 'readable') {
    return refused(refusal(seen?.reason === 'other-tenant' ? 'vault-other-tenant' : 'vault-not-visible', seen?.message))
  }
  const { vault } = seen
  const access = PUBLIC_NETWORK_ACCESS[wanted.networkAccess]
  const findings = [
    ...(vault.publicNetworkAccess === access ? [] : checkVaultChange(observed, vault, access)),
    ...checkProfile(asItWillBe(observed, vaultUrl, access), wanted)
  ]
  if (findings.length > 0) return refused(...findings)

  const off = reachProfile(observed, goal, KMS_OFF, { sentence: '' })
  if (off.kind !== 'done') return off
  if (!isRecorded(observed, goal)) return step({ kind: 'record-goal', goal })
  if (vault.publicNetworkAccess !== access) {
    const { id, name, url } = vault
    return step({ kind: 'set-vault-network-access', vault: { id, name, url }, access })
  }
  return step({ kind: 'set-kms-profile', profile: wanted })
}

const WAY: Readonly<Record<NetworkAccess, string>> = {
  Public: 'through public networks',
  Private: 'by a private endpoint'
}

/** How AKS needs the vault to be in each mode. */
const PUBLIC_NETWORK_ACCESS: Readonly<Record<NetworkAccess, Vault['publicNetworkAccess']>> = {
  Public: 'Enabled',
  Private: 'Disabled'
}

/** Just before KMS is switched on again, for which the profile is checked before anything is changed. */
function asItWillBe(
  observed: ObservedCluster,
  vaultUrl: string,
  publicNetworkAccess: Vault['publicNetworkAccess']
): ObservedCluster {
  const off = { ...observed, cluster: { ...observed.cluster, kms: KMS_OFF } }
  return { ...withVault(off, vaultUrl, { publicNetworkAccess }), cluster: off.cluster }
}
