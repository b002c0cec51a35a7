import { compareVersions, FIRST_KMS_V2_MINOR, minor } from '../../src/model/kubernetes-version.ts'
import type { WireAnswer } from '../network.ts'
import { poolsOf } from './cluster-body.ts'
import { at, objectAt, textAt, type JsonObject } from './json.ts'
import { resolveVersion, upgradesFrom } from './kubernetes-versions.ts'

/** An error in the flat shape of the AKS resource provider. */
export function aksFault(status: number, code: string, message: string, subcode = ''): WireAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', 'x-ms-failure-cause': 'service' },
    body: { code, details: null, message, subcode }
  }
}

export function kmsOf(body: JsonObject): JsonObject {
  return objectAt(body, 'properties', 'securityProfile', 'azureKeyVaultKms')
}

export function kmsEnabled(body: JsonObject): boolean {
  return kmsOf(body)['enabled'] === true
}

/** What is wrong with the KMS profile of a cluster, before anything is tried with the key. */
export function checkKmsProfile(body: JsonObject): WireAnswer | undefined {
  if (!kmsEnabled(body)) return undefined
  const bad = (message: string): WireAnswer => aksFault(400, 'BadRequest', message)
  const kms = kmsOf(body)
  const identityType = textAt(body, 'identity', 'type')
  if (identityType !== 'UserAssigned') {
    return bad(
      `AzureKeyVaultKms feature does not support cluster identity type ${identityType}, supported value is 'UserAssigned'`
    )
  }
  // The service's words for a key id that is missing or has no version are not known.
  if (!/^https:\/\/[^/]+\/keys\/[^/]+\/[^/]+$/.test(textAt(kms, 'keyId'))) {
    return bad('KeyId is not a valid key identifier for Azure Key Vault KMS.')
  }
  const access = textAt(kms, 'keyVaultNetworkAccess')
  if (access !== 'Public' && access !== 'Private') {
    return bad('KeyVault network access is unspecified for Azure Key Vault KMS.')
  }
  const resourceId = textAt(kms, 'keyVaultResourceId')
  if (access === 'Public') {
    return resourceId === ''
      ? undefined
      : bad('KeyVault resource ID is not empty when KeyVault network access is Public.')
  }
  if (resourceId === '') return bad('KeyVault resource ID is empty when KeyVault network access is Private.')
  if (at(body, 'properties', 'apiServerAccessProfile', 'enableVnetIntegration') !== true) {
    return bad('Vnet integration should be enabled when KeyVault network access is Private.')
  }
  return undefined
}

/** AKS can't change the mode of the vault that is attached: it tries, and fails. */
export function changesModeInPlace(before: JsonObject, after: JsonObject): boolean {
  if (!kmsEnabled(before) || !kmsEnabled(after)) return false
  const [old, wanted] = [kmsOf(before), kmsOf(after)]
  const vault = (kms: JsonObject): string => textAt(kms, 'keyId').split('/')[2]?.toLowerCase() ?? ''
  return vault(old) === vault(wanted) && old['keyVaultNetworkAccess'] !== wanted['keyVaultNetworkAccess']
}

/** The version that a PUT takes the control plane to: the present one where it asks for no other. */
export function wantedVersion(offered: readonly string[], before: JsonObject, sent: JsonObject): string | WireAnswer {
  const current = textAt(before, 'properties', 'currentKubernetesVersion')
  const asked = textAt(sent, 'properties', 'kubernetesVersion')
  const minorOnly = /^\d+\.\d+$/.test(asked)
  if (asked === '' || asked === current || asked === textAt(before, 'properties', 'kubernetesVersion')) return current
  if (minorOnly && minor(asked) === minor(current)) return current
  const upgrades = upgradesFrom(offered, current)
  const wanted = resolveVersion(offered, asked)
  if (wanted === undefined || !upgrades.includes(wanted)) {
    const verb = compareVersions(asked, current) < 0 ? 'Downgrading' : 'Upgrading'
    return aksFault(
      400,
      'OperationNotAllowed',
      `${verb} Kubernetes version ${current} to ${asked} is not allowed. Available upgrades: [${upgrades.join(' ')}]. Please see https://aka.ms/aks-supported-k8s-ver for version details.`
    )
  }
  if (kmsEnabled(before) && minor(current) < FIRST_KMS_V2_MINOR && minor(wanted) >= FIRST_KMS_V2_MINOR) {
    // That it is blocked is documented, the words are not.
    return aksFault(
      400,
      'OperationNotAllowed',
      `Upgrading Kubernetes version ${current} to ${asked} is not allowed for a cluster with Azure Key Vault KMS enabled. Please migrate to KMS v2 first, see https://learn.microsoft.com/azure/aks/use-kms-v2.`
    )
  }
  return wanted
}

/** How many minors a node pool may be behind the control plane. Source: learn.microsoft.com/azure/aks/upgrade-node-pools */
const MOST_BEHIND = 2

/** The version of each pool after a PUT; nodes can't be ahead of the control plane, nor far behind it. */
export function wantedPoolVersions(
  offered: readonly string[],
  body: JsonObject,
  controlPlane: string
): ReadonlyMap<string, string> | WireAnswer {
  const versions = new Map<string, string>()
  for (const pool of poolsOf(body)) {
    const asked = textAt(pool, 'orchestratorVersion')
    const current = textAt(pool, 'currentOrchestratorVersion')
    const wanted = asked === '' ? current || controlPlane : (resolveVersion(offered, asked) ?? asked)
    if (compareVersions(wanted, controlPlane) > 0) {
      return aksFault(
        400,
        'NodePoolMcVersionIncompatible',
        `Node pool version ${wanted} and control plane version ${controlPlane} are incompatible. Minor version of node pool version ${minor(wanted)} is bigger than control plane version ${minor(controlPlane)}. For more information, please check https://aka.ms/aks/UpgradeVersionRules`
      )
    }
    // Words as in MicrosoftDocs/azure-dev-docs#1034.
    if (minor(controlPlane) - minor(wanted) > MOST_BEHIND) {
      return aksFault(
        400,
        'NodePoolMcVersionIncompatible',
        `Node pool version ${wanted} and control plane version ${controlPlane} are incompatible. Minor version of node pool cannot be more than ${MOST_BEHIND} versions less than control plane's version. Minor version of node pool is ${minor(wanted)} and control plane is ${minor(controlPlane)}.`
      )
    }
    versions.set(textAt(pool, 'name'), wanted)
  }
  return versions
}
