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

/** `640 ms`, `2.1 s`, `42 s`, `1 m 40 s`, `2 h 5 m` */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${String(Math.round(ms))} ms`
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${String(seconds)} s`
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))} m ${String(seconds % 60)} s`
  const minutes = Math.round(seconds / 60)
  return `${formatNumber(Math.floor(minutes / 60))} h ${String(minutes % 60)} m`
}

/** `2026-11-22T16:20:31.004Z` → `2026-11-22 16:20 UTC` */
export function formatTime(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')} UTC`
}

/** At most `length` characters. */
export function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).trimEnd()}…`
}

/** `https://kv.vault.azure.net/keys/etcd/3f2a91…` → `kv / etcd / 3f2a91…`; any other text as it is. */
export function shortKey(keyId: string): string {
  const key = keyVersionFrom(keyId)
  return key === undefined ? keyId : `${key.vaultName} / ${key.name} / ${key.version.slice(0, 6)}…`
}

/** The names in the ARM id of a cluster; a text that is none is taken for the cluster's name. */
export function clusterNames(armId: string): { readonly name: string; readonly resourceGroup: string | undefined } {
  const [, resourceGroup, name] = /\/resourceGroups\/([^/]+)\/.*\/managedClusters\/([^/]+)$/i.exec(armId) ?? []
  return { name: name ?? armId, resourceGroup }
}

/** `docsUrl`: where the docs folder is served, without a slash at the end. */
export function troubleshootingUrl(docsUrl: string, code: Code): string {
  return `${docsUrl}/troubleshooting.md#${code}`
}
