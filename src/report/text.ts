import { keyVersionFrom } from '../model/key-id.ts'
import type { Code } from '../errors.ts'

const NUMBERS = new Intl.NumberFormat('en-US')

/** `1,240` */
export function formatNumber(value: number): string {
  return NUMBERS.format(value)
}

/** `1 Secret`, `1,240 Secrets` */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`
}

/** `640 ms`, `2.1 s`, `42 s`, `1 m 40 s`, `5 m`, `2 h 5 m` */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${String(Math.round(ms))} ms`
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${String(seconds)} s`
  if (seconds < 3600) return inTwo(Math.floor(seconds / 60), 'm', seconds % 60, 's')
  const minutes = Math.round(seconds / 60)
  return inTwo(Math.floor(minutes / 60), 'h', minutes % 60, 'm')
}

function inTwo(whole: number, unit: string, rest: number, smaller: string): string {
  return `${formatNumber(whole)} ${unit}${rest === 0 ? '' : ` ${String(rest)} ${smaller}`}`
}

/** `2026-11-22T16:20:31.004Z` → `2026-11-22 16:20 UTC` */
export function formatTime(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')} UTC`
}

/** `03:21:05` on the day of the other time, else `2026-11-20 03:21`; in UTC without saying so. */
export function formatMoment(iso: string, other: string): string {
  return iso.slice(0, 10) === other.slice(0, 10) ? iso.slice(11, 19) : iso.slice(0, 16).replace('T', ' ')
}

/** `sha256:3f2a91c07be9…` → `3f2a91c0…` */
export function shortHash(hash: string): string {
  const digits = hash.replace(/^sha256:/, '')
  return digits.length <= 8 ? digits : `${digits.slice(0, 8)}…`
}

/** At most `length` characters. */
export function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).trimEnd()}…`
}

/** `https://kv.vault.azure.net/keys/etcd/3f2a91…` → `kv / etcd / 3f2a91…`; any other text as it is. */
export function shortKey(keyId: string): string {
  const key = keyVersionFrom(keyId)
  return key === undefined ? keyId : `${key.vaultName} / ${key.name} / ${shortVersion(keyId)}`
}

/** `https://kv.vault.azure.net/keys/etcd/3f2a91…` → `3f2a91…`; any other text as it is. */
export function shortVersion(keyId: string): string {
  const key = keyVersionFrom(keyId)
  return key === undefined ? keyId : `${key.version.slice(0, 6)}…`
}

export interface ClusterNames {
  /** Empty for a resource group or a subscription. */
  readonly name: string
  readonly resourceGroup: string | undefined
  /** Only of a subscription as a whole. */
  readonly subscriptionId: string | undefined
}

/**
 * The names in the ARM id of a cluster, a vault, a resource group or a subscription; a text that is none is taken for the
 * cluster's name.
 */
export function clusterNames(armId: string): ClusterNames {
  const [, subscriptionId, resourceGroup, name] =
    /^\/subscriptions\/([^/]+)(?:\/resourceGroups\/([^/]+)(?:\/.*\/(?:managedClusters|vaults)\/([^/]+))?)?$/i.exec(
      armId
    ) ?? []
  return {
    name: name ?? (subscriptionId === undefined ? armId : ''),
    resourceGroup,
    subscriptionId: resourceGroup === undefined ? subscriptionId : undefined
  }
}

/** Whether a run was about a vault rather than a cluster. */
export function isVault(armId: string): boolean {
  return /\/vaults\/[^/]+$/i.test(armId)
}

/** `docsUrl`: where the docs folder is served, without a slash at the end. */
export function troubleshootingUrl(docsUrl: string, code: Code): string {
  return `${docsUrl}/troubleshooting.md#${code}`
}

/** Where the rights are explained that evidence per API server takes. */
export function permissionsUrl(docsUrl: string): string {
  return `${docsUrl}/permissions.md#evidence-per-api-server`
}
