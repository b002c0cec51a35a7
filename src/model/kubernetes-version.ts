/** Compares `major.minor[.patch]` versions as numbers; a missing patch is below every patch. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)]
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? -1) - (right[i] ?? -1)
    if (difference !== 0) return difference
  }
  return 0
}

export function isVersion(text: string): boolean {
  return /^\d+\.\d+(\.\d+)?$/.test(text)
}

/** `1.27.9` → 27. */
export function minor(version: string): number {
  return parts(version)[1] ?? 0
}

/** From this minor on AKS runs KMS v2. Source: learn.microsoft.com/azure/aks/use-kms-v2 */
export const FIRST_KMS_V2_MINOR = 27

function parts(version: string): number[] {
  return version.split('.').map(Number)
}
