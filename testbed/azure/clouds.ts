/** The names of one Azure cloud, as far as anything in the bed depends on them. */
export interface BedCloud {
  /** As kubelogin and azure.json call it. */
  readonly name: string
  /** Host of the Entra authority. */
  readonly authorityHost: string
  /** Further hosts that the authority answers under: MSAL goes to the one it holds for the right one. */
  readonly authorityAliases: readonly string[]
  /** Host of Azure Resource Manager. */
  readonly resourceManagerHost: string
  /** Resources that Azure Resource Manager takes tokens for. */
  readonly resourceManagerAudiences: readonly string[]
  /** DNS suffix of vaults; tokens for Key Vault are for `https://<suffix>`. */
  readonly vaultSuffix: string
  /** Audience that Entra's federated credentials ask of a GitHub assertion. */
  readonly assertionAudience: string
}

export const PUBLIC_CLOUD: BedCloud = {
  name: 'AzurePublicCloud',
  authorityHost: 'login.microsoftonline.com',
  authorityAliases: ['login.windows.net'],
  resourceManagerHost: 'management.azure.com',
  resourceManagerAudiences: ['https://management.azure.com', 'https://management.core.windows.net'],
  vaultSuffix: 'vault.azure.net',
  assertionAudience: 'api://AzureADTokenExchange'
}

export const US_GOVERNMENT_CLOUD: BedCloud = {
  name: 'AzureUSGovernmentCloud',
  authorityHost: 'login.microsoftonline.us',
  authorityAliases: ['login.usgovcloudapi.net'],
  resourceManagerHost: 'management.usgovcloudapi.net',
  resourceManagerAudiences: ['https://management.usgovcloudapi.net', 'https://management.core.usgovcloudapi.net'],
  vaultSuffix: 'vault.usgovcloudapi.net',
  assertionAudience: 'api://AzureADTokenExchangeUSGov'
}

export const CHINA_CLOUD: BedCloud = {
  name: 'AzureChinaCloud',
  authorityHost: 'login.chinacloudapi.cn',
  authorityAliases: ['login.partner.microsoftonline.cn'],
  resourceManagerHost: 'management.chinacloudapi.cn',
  resourceManagerAudiences: ['https://management.chinacloudapi.cn', 'https://management.core.chinacloudapi.cn'],
  vaultSuffix: 'vault.azure.cn',
  assertionAudience: 'api://AzureADTokenExchangeChina'
}

/** A cloud that no library knows: only what the user configures leads there. */
export const AIR_GAPPED_CLOUD: BedCloud = {
  name: 'AzureStackCloud',
  authorityHost: 'login.azure.example',
  authorityAliases: [],
  resourceManagerHost: 'management.azure.example',
  resourceManagerAudiences: ['https://management.azure.example'],
  vaultSuffix: 'vault.azure.example',
  assertionAudience: 'api://AzureADTokenExchangeExample'
}

/** The Entra application that AKS API servers take tokens for; the same in every cloud. */
export const AKS_SERVER_APPLICATION = '6dae42f8-4368-4678-94ff-3960e28e3630'

export function vaultResource(cloud: BedCloud): string {
  return `https://${cloud.vaultSuffix}`
}
