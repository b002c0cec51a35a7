import { SPREADING_MS, type ObservedPreparation, type WantedPreparation } from './preparation.ts'
import type { Purpose } from './roles.ts'
import type { Permission } from './vault.ts'
import { vaultAccess } from './vault-access.ts'

/** What the identity may do by its roles and by its own access policy: in which groups it is, no policy tells. */
export function identityAccess(
  wanted: WantedPreparation,
  { vault: observation, identity, grants }: ObservedPreparation
): Readonly<Record<Purpose, Permission>> {
  if (observation.kind === 'unreadable' || identity === undefined) {
    return { 'use-key': 'missing', 'approve-private-endpoint': 'missing' }
  }
  const { vault } = observation
  const { useKey, approvePrivateEndpoint } = vaultAccess(vault, wanted.keyName, identity.principalId, grants)
  return {
    'use-key': vault.rbac || useKey === 'granted' ? useKey : 'missing',
    'approve-private-endpoint': wanted.networkAccess === 'Private' ? approvePrivateEndpoint : 'granted'
  }
}

/**
 * When the identity's roles hold everywhere, in milliseconds since the epoch; undefined where they do already. Nothing but their age
 * tells: only the identity itself could try them.
 */
export function rolesSpreadAt(wanted: WantedPreparation, seen: ObservedPreparation, now: number): number | undefined {
  const { grants = [] } = seen
  const isYoung = ({ createdAt }: (typeof grants)[number]): boolean => isSpreading(createdAt, now)
  const spread = identityAccess(wanted, { ...seen, grants: grants.filter((grant) => !isYoung(grant)) })
  if (Object.values(spread).every((permission) => permission !== 'missing')) return undefined
  return Math.max(...grants.filter(isYoung).map(({ createdAt = 0 }) => createdAt)) + SPREADING_MS
}

/** Whether not every part of Azure may know yet what was made then, or which roles hold at it. */
export function isSpreading(createdAt: number | undefined, now: number): boolean {
  return createdAt !== undefined && now < createdAt + SPREADING_MS
}
