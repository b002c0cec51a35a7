/**
 * The endpoints of one Azure cloud.
 * Source: learn.microsoft.com/entra/identity-platform/authentication-national-cloud and the Azure CLI's cloud definitions.
 */
export interface Cloud {
  readonly name: string
  /** Microsoft Entra ID, `https://…` without a slash at the end. */
  readonly authority: string
  /** Azure Resource Manager, `https://…` without a slash at the end; also the resource that its tokens are for. */
  readonly resourceManager: string
  /** DNS suffix of vaults; `https://` before it is the resource that Key Vault tokens are for. */
  readonly vaultSuffix: string
  /** The audience that Entra expects in GitHub's ID token. */
  readonly audience: string
}

const CLOUDS: readonly Cloud[] = [
  {
    name: 'AzureCloud',
    authority: 'https://login.microsoftonline.com',
    resourceManager: 'https://management.azure.com',
    vaultSuffix: 'vault.azure.net',
    audience: 'api://AzureADTokenExchange'
  },
  {
    name: 'AzureUSGovernment',
    authority: 'https://login.microsoftonline.us',
    resourceManager: 'https://management.usgovcloudapi.net',
    vaultSuffix: 'vault.usgovcloudapi.net',
    audience: 'api://AzureADTokenExchangeUSGov'
  },
  {
    name: 'AzureChinaCloud',
    authority: 'https://login.chinacloudapi.cn',
    resourceManager: 'https://management.chinacloudapi.cn',
    vaultSuffix: 'vault.azure.cn',
    audience: 'api://AzureADTokenExchangeChina'
  }
]

export const CLOUD_NAMES: readonly string[] = CLOUDS.map((cloud) => cloud.name)

/**
 * A cloud by its name in the Azure CLI (any case), or an air-gapped one as JSON:
 * `{"authority":"https://…","resourceManager":"https://…","vaultSuffix":"…","audience":"api://…"}`.
 * Undefined when the text is neither.
 */
export function parseCloud(text: string): Cloud | undefined {
  const known = CLOUDS.find((cloud) => cloud.name.toLowerCase() === text.trim().toLowerCase())
  if (known !== undefined) return known
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { authority, resourceManager, vaultSuffix, audience } = value as Record<string, unknown>
  if (!isOrigin(authority) || !isOrigin(resourceManager)) return undefined
  if (typeof vaultSuffix !== 'string' || !/^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(vaultSuffix)) return undefined
  if (typeof audience !== 'string' || audience === '') return undefined
  return { name: 'custom', authority: bare(authority), resourceManager: bare(resourceManager), vaultSuffix, audience }
}

function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && /^https:\/\/[^/?#]+\/?$/.test(value)
}

function bare(origin: string): string {
  return origin.replace(/\/$/, '')
}
