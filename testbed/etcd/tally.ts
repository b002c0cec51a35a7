import { createHash } from 'node:crypto'
import type { StoredSecret } from '../contract.ts'

/**
 * How many Secrets lie in etcd under what: `identity`, a KMS v1 provider's prefix, or for KMS v2 the provider's prefix and the
 * key version's url as far as it is among `keyIds`.
 */
export function tallyStored(
  secrets: readonly StoredSecret[],
  keyIds: readonly string[]
): Readonly<Record<string, number>> {
  const names = new Map(keyIds.map((keyId) => [createHash('sha256').update(keyId).digest('hex'), keyId]))
  const tally: Record<string, number> = {}
  for (const { provider, keyIdHash } of secrets) {
    const under = keyIdHash === undefined ? provider : `${provider} ${names.get(keyIdHash) ?? keyIdHash}`
    tally[under] = (tally[under] ?? 0) + 1
  }
  return tally
}
