import { createHash } from 'node:crypto'

import type { EncryptionConfiguration, EncryptionProvider, StoredSecret } from '../contract.ts'

/** The two keys that AKS's API servers know at once. */
export interface KeySlots {
  /** Url of the key version in each slot. */
  readonly keys: readonly [string | undefined, string | undefined]
  /** The slot that took the newest key. */
  readonly newest: 0 | 1
  /** Whether the newest key encrypts what is written; if not, values are written as they are. */
  readonly encrypting: boolean
  /**
   * Set where every key takes the first slot, and so the same provider name, with the keys that were in it before, newest
   * first: its plugin still decrypts with them.
   */
  readonly earlier?: readonly string[]
}

export const NO_KEYS: KeySlots = { keys: [undefined, undefined], newest: 1, encrypting: false }

/** Not as AKS: with KMS v1, nothing that is stored is ever stale then. */
export const NO_KEYS_IN_ONE_SLOT: KeySlots = { ...NO_KEYS, newest: 0, earlier: [] }

/** The slots after `keyId` has become the current key, or after KMS has been switched off where it is undefined. */
export function changeKey(slots: KeySlots, keyId: string | undefined): KeySlots {
  if (keyId === undefined) return { ...slots, encrypting: false }
  const [first, second] = slots.keys
  if (slots.earlier !== undefined) {
    const before = first === undefined ? slots.earlier : [first, ...slots.earlier]
    const earlier = before.filter((one) => one !== keyId)
    return { keys: [keyId, undefined], newest: 0, encrypting: true, earlier }
  }
  if (first === keyId) return { ...slots, newest: 0, encrypting: true }
  if (second === keyId) return { ...slots, newest: 1, encrypting: true }
  return slots.newest === 0
    ? { keys: [first, keyId], newest: 1, encrypting: true }
    : { keys: [keyId, second], newest: 0, encrypting: true }
}

/** The key that has no slot any more, with the name of the slot that it was in. */
export function droppedKey(
  before: KeySlots,
  after: KeySlots
): { readonly keyId: string; readonly provider: string } | undefined {
  if (after.earlier !== undefined) return undefined
  for (const slot of [0, 1] as const) {
    const keyId = before.keys[slot]
    if (keyId !== undefined && !after.keys.includes(keyId)) return { keyId, provider: providerName(slot) }
  }
  return undefined
}

/** True where a Secret can be read with this key of this slot only. */
export function liesUnder(secret: StoredSecret, key: { readonly keyId: string; readonly provider: string }): boolean {
  return (
    secret.provider.endsWith(`:${key.provider}`) &&
    (secret.keyIdHash === undefined || secret.keyIdHash === hashOf(key.keyId))
  )
}

/** What the API servers are given: the writer first, then everything that can still be read. */
export function encryptionOf(slots: KeySlots, apiVersion: 'v1' | 'v2'): EncryptionConfiguration {
  const order = slots.newest === 0 ? ([0, 1] as const) : ([1, 0] as const)
  const providers = order.flatMap((slot): EncryptionProvider[] => {
    const keyId = slots.keys[slot]
    const earlier = slots.earlier && { earlierKeyIds: slots.earlier }
    return keyId === undefined ? [] : [{ kind: 'kms', apiVersion, name: providerName(slot), keyId, ...earlier }]
  })
  return slots.encrypting ? [...providers, { kind: 'identity' }] : [{ kind: 'identity' }, ...providers]
}

/** How Azure's KMS plugin names a key to the API server. */
export function hashOf(keyId: string): string {
  return createHash('sha256').update(keyId).digest('hex')
}

function providerName(slot: 0 | 1): string {
  return `azurekms${slot}`
}
