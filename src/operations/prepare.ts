import { finding, refusal, type Finding } from '../model/finding.ts'
import type { Observed } from '../model/observed.ts'
import {
  keyScope,
  SPREADING_MS,
  type ObservedPreparation,
  type PreparedKind,
  type WantedPreparation
} from '../model/preparation.ts'
import { identityAccess, isSpreading, rolesSpreadAt } from '../model/preparation-access.ts'
import { preparedResources } from '../model/prepared-resources.ts'
import type { Decision, Step } from '../model/step.ts'
import { checkPreparation } from '../preflight/preparation.ts'
import type { Request } from '../request.ts'
import { done, refused, step } from './reach.ts'

/** Vault, key, identity and its permissions: each made where it is missing, and left as it is where it is there. */
export function prepare(request: Request, observed: Observed): Decision {
  const [wanted, seen] = [request.preparation, observed.preparation]
  if (wanted === undefined || seen === undefined) {
    return refused(refusal('input-missing', '`prepare` needs `key-vault-resource-id` and `identity-resource-id`.'))
  }
  const refusals = checkPreparation(wanted, seen, observed.now)
  if (refusals.length > 0) return refused(...refusals)
  const next =
    nextResource(request, wanted, seen, observed.now) ??
    nextPermission(wanted, seen) ??
    lastWait(wanted, seen, observed.now)
  return next === undefined
    ? done('Key, vault, identity and permissions are ready for `create` and `enable`.', differences(wanted, seen))
    : step(next)
}

function nextResource(
  request: Request,
  wanted: WantedPreparation,
  seen: ObservedPreparation,
  now: number
): Step | undefined {
  const { vaultId, keyName, keySize, rotationDays, identityId, networkAccess } = wanted
  const { vault, key, identity, vaultLocation, identityLocation } = seen
  const tenantId = identity?.tenantId ?? seen.tenantId ?? tenantOf(request)
  // The vault first, because its name may be taken; unless only the identity tells to which tenant it is to belong.
  if (vault.kind === 'unreadable' && vaultLocation !== undefined && tenantId !== undefined) {
    const publicNetworkAccess = networkAccess === 'Private' ? 'Disabled' : 'Enabled'
    return {
      kind: 'create-vault',
      vaultId,
      vaultUrl: wanted.vaultUrl,
      location: vaultLocation,
      tenantId,
      publicNetworkAccess
    }
  }
  if (identity === undefined && identityLocation !== undefined) {
    return { kind: 'create-identity', identityId, location: identityLocation }
  }
  if (vault.kind === 'readable') {
    const { provisioned, createdAt } = vault.vault
    const isForbidden = key?.kind === 'unreadable' && key.reason === 'forbidden'
    if ((!provisioned || isForbidden) && isSpreading(createdAt, now)) {
      return { kind: 'wait-for-vault', vaultId, keyName, until: (createdAt ?? now) + SPREADING_MS }
    }
  }
  if (key?.kind === 'unreadable') {
    return { kind: 'create-key', vaultId, vaultUrl: wanted.vaultUrl, keyName, keySize, rotationDays }
  }
  return undefined
}

/** A managed identity may not tell of its tenant itself. */
function tenantOf({ credential }: Request): string | undefined {
  return 'tenantId' in credential ? credential.tenantId : undefined
}

function nextPermission(wanted: WantedPreparation, seen: ObservedPreparation): Step | undefined {
  if (seen.vault.kind === 'unreadable' || seen.identity === undefined) return undefined
  const { vault } = seen.vault
  const { principalId } = seen.identity
  const access = identityAccess(wanted, seen)
  if (access['use-key'] === 'missing') {
    return vault.rbac
      ? { kind: 'assign-role', purpose: 'use-key', principalId, scope: keyScope(wanted) }
      : { kind: 'add-access-policy', vaultId: wanted.vaultId, tenantId: vault.tenantId, objectId: principalId }
  }
  if (access['approve-private-endpoint'] === 'missing') {
    return { kind: 'assign-role', purpose: 'approve-private-endpoint', principalId, scope: wanted.vaultId }
  }
  return undefined
}

function lastWait(wanted: WantedPreparation, seen: ObservedPreparation, now: number): Step | undefined {
  const until = rolesSpreadAt(wanted, seen, now)
  return until === undefined ? undefined : { kind: 'wait-for-roles', until }
}

function differences(wanted: WantedPreparation, seen: ObservedPreparation): readonly Finding[] {
  return preparedResources(wanted, seen).flatMap(({ kind, name, differences }) =>
    differences.map(({ code, sentence, fix }) => finding('warning', code, `${LABEL[kind]} ${name}: ${sentence}`, fix))
  )
}

const LABEL: Readonly<Record<PreparedKind, string>> = {
  vault: 'Vault',
  key: 'Key',
  identity: 'Identity',
  'use-key': 'Role',
  'approve-private-endpoint': 'Role'
}
