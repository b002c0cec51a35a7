import type { Permission } from './vault.ts'

/** What one role permits, with `*` for any part of an action. */
export interface RolePermissions {
  readonly actions: readonly string[]
  readonly notActions: readonly string[]
  readonly dataActions: readonly string[]
  readonly notDataActions: readonly string[]
}

/** A role that a principal has, and where. */
export interface Grant {
  /** ARM id that it holds at and below. */
  readonly scope: string
  /** It holds only where an expression does, which is not evaluated here. */
  readonly conditional: boolean
  /** Milliseconds since the epoch; undefined where Azure does not say. */
  readonly createdAt: number | undefined
  readonly permissions: readonly RolePermissions[]
}

/** An action on a resource, or on the data in it. */
export type Action = { readonly action: string } | { readonly dataAction: string }

/** Whether roles that hold at a resource permit something there. */
export function permits(roles: readonly RolePermissions[], wanted: Action): boolean {
  return roles.some((role) =>
    'action' in wanted
      ? matches(role.actions, wanted.action) && !matches(role.notActions, wanted.action)
      : matches(role.dataActions, wanted.dataAction) && !matches(role.notDataActions, wanted.dataAction)
  )
}

/** Whether grants permit something at a scope; a condition on the only grant that does leaves it unknown. */
export function grantedAt(grants: readonly Grant[], scope: string, wanted: Action): Permission {
  const found = grants.filter((grant) => isWithin(scope, grant.scope) && permits(grant.permissions, wanted))
  if (found.length === 0) return 'missing'
  return found.some(({ conditional }) => !conditional) ? 'granted' : 'unknown'
}

function isWithin(id: string, scope: string): boolean {
  const [inner, outer] = [id.toLowerCase(), scope.toLowerCase().replace(/\/$/, '')]
  return inner === outer || inner.startsWith(`${outer}/`)
}

// `a/*/b` holds for `a/b` too: Managed Identity Operator permits `userAssignedIdentities/assign/action` by nothing but
// `userAssignedIdentities/*/assign/action`.
function matches(patterns: readonly string[], action: string): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.split('/*/').map((part) => part.split('*').map(escaped).join('.*'))
    return new RegExp(`^${parts.join('/(?:.*/)?')}$`, 'i').test(action)
  })
}

function escaped(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
}
