import { SPREADING_MS, type ObservedPreparation, type WantedPreparation } from './preparation.ts'
import type { Purpose } from './roles.ts'
import type { Permission } from './vault.ts'
import { vaultAccess } from './vault-access.ts'

type IdentityAccess = Readonly<Record<Purpose, Permission>>

/** What the identity may do; what this run has given it, it has, although Azure may not list it yet. */
export function identityAccess(wanted: WantedPreparation, seen: ObservedPreparation): IdentityAccess {
  const listed = listedAccess(wanted, seen)
  const given = (purpose: Purpose): Permission => (seen.made.has(purpose) ? 'granted' : listed[purpose])
  return { 'use-key': given('use-key'), 'approve-private-endpoint': given('approve-private-endpoint') }
}

/** By its roles and by its own access policy: in which groups it is, no policy tells. */
function listedAccess(
  wanted: WantedPreparation,
  { vault: observation, identity, grants }: ObservedPreparation
): IdentityAccess {
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
 * tells: only the identity itself could try them. An access policy holds at once.
 */
export function rolesSpreadAt(wanted: WantedPreparation, seen: ObservedPreparation, now: number): number | undefined {
  const byRole: readonly Purpose[] =
    seen.vault.kind === 'readable' && seen.vault.vault.rbac
      ? ['use-key', 'approve-private-endpoint']
      : ['approve-private-endpoint']
  const { grants = [] } = seen
  const young = grants.filter(({ createdAt }) => isSpreading(createdAt, now))
  const listed = listedAccess(wanted, seen)
  const spread = listedAccess(wanted, { ...seen, grants: grants.filter((grant) => !young.includes(grant)) })
  const since = byRole
    .filter((purpose) => spread[purpose] === 'missing')
    .map((purpose) =>
      listed[purpose] === 'missing'
        ? (seen.made.get(purpose) ?? now)
        : Math.max(...young.map(({ createdAt = now }) => createdAt))
    )
  const until = Math.max(...since) + SPREADING_MS
  return until > now ? until : undefined
}

/** Whether not every part of Azure may know yet what was made then, or which roles hold at it. */
export function isSpreading(createdAt: number | undefined, now: number): boolean {
  return createdAt !== undefined && now < createdAt + SPREADING_MS
}
