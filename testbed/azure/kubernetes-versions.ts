import { compareVersions, minor } from '../../src/model/kubernetes-version.ts'
import type { JsonObject } from './json.ts'

/** What the bed's region offers, oldest first: two patches a minor. */
export const OFFERED_VERSIONS: readonly string[] = Array.from({ length: 13 }, (_, i) => 24 + i).flatMap((number) => [
  `1.${number}.6`,
  `1.${number}.9`
])

/** The full version that a request for one means: a minor stands for its newest patch. */
export function resolveVersion(offered: readonly string[], version: string): string | undefined {
  if (offered.includes(version)) return version
  return offered.filter((one) => one.startsWith(`${version}.`)).at(-1)
}

/** Newer patches and the versions of the next minor: a minor can't be skipped. Newest first, as AKS lists them. */
export function upgradesFrom(offered: readonly string[], current: string): readonly string[] {
  return offered
    .filter((version) => compareVersions(version, current) > 0 && minor(version) <= minor(current) + 1)
    .toReversed()
}

/** Of a node pool: what is newer than it, and no newer than the control plane. */
function poolUpgradesFrom(offered: readonly string[], current: string, controlPlane: string): readonly string[] {
  return offered
    .filter((version) => compareVersions(version, current) > 0 && compareVersions(version, controlPlane) <= 0)
    .toReversed()
}

export function showUpgradeProfile(
  clusterId: string,
  offered: readonly string[],
  current: string,
  pools: readonly { readonly name: string; readonly version: string }[]
): JsonObject {
  const show = (versions: readonly string[]): JsonObject[] =>
    versions.map((kubernetesVersion) => ({ kubernetesVersion, isPreview: false }))
  return {
    id: `${clusterId}/upgradeprofiles/default`,
    name: 'default',
    type: 'Microsoft.ContainerService/managedClusters/upgradeprofiles',
    properties: {
      controlPlaneProfile: {
        kubernetesVersion: current,
        osType: 'Linux',
        upgrades: show(upgradesFrom(offered, current))
      },
      agentPoolProfiles: pools.map(({ name, version }) => ({
        name,
        kubernetesVersion: version,
        osType: 'Linux',
        upgrades: show(poolUpgradesFrom(offered, version, current))
      }))
    }
  }
}
