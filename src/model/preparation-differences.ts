import type { Code } from '../errors.ts'
import { plainLocation } from './arm-id.ts'
import type { Identity, ObservedPreparation, VaultKey, WantedPreparation } from './preparation.ts'
import { identityAccess } from './preparation-access.ts'
import type { Purpose } from './roles.ts'
import type { Vault } from './vault.ts'

/** What is otherwise than it was asked for, and is left as it is. */
export interface Difference {
  readonly code: Code
  readonly sentence: string
  readonly fix: string
}

/** Undefined where it is not permitted. */
export function permissionDifferences(
  wanted: WantedPreparation,
  seen: ObservedPreparation,
  purpose: Purpose,
  scope: string
): readonly Difference[] | undefined {
  switch (identityAccess(wanted, seen)[purpose]) {
    case 'granted':
      return []
    case 'missing':
      return undefined
    case 'unknown':
      return [
        {
          code: 'resource-differs',
          sentence: 'It is given under a condition, which was not evaluated.',
          fix: `Check the condition: \`az role assignment list --assignee ${seen.identity?.principalId ?? ''} --scope ${scope} --include-inherited\`.`
        }
      ]
  }
}

export function vaultDifferences(wanted: WantedPreparation, vault: Vault): readonly Difference[] {
  const update = `az keyvault update --name ${vault.name}`
  const differences: Difference[] = []
  if (!vault.rbac) {
    differences.push({
      code: 'resource-differs',
      sentence: 'It uses access policies rather than Azure RBAC.',
      fix: `Leave it so; or give everybody a role in place of a policy, and then change it: \`${update} --enable-rbac-authorization true\`.`
    })
  }
  if (!vault.purgeProtection) {
    const without = vault.softDelete ? 'no purge protection' : 'neither soft delete nor purge protection'
    differences.push({
      code: 'purge-protection-missing',
      sentence: `It has ${without}: whoever may purge its keys can make every Secret unreadable for good.`,
      fix: `Turn it on, for ever: \`${update} --enable-purge-protection true\`.`
    })
  }
  if (wanted.networkAccess === 'Private' && vault.publicNetworkAccess === 'Enabled') {
    differences.push({
      code: 'resource-differs',
      sentence: 'It takes connections from public networks.',
      fix: `Close it once nobody needs them: \`${update} --public-network-access Disabled\`.`
    })
  }
  return [...differences, ...locationDifferences(wanted, vault.location)]
}

export function keyDifferences(
  wanted: WantedPreparation,
  { version, size, rotationPolicy }: VaultKey
): readonly Difference[] {
  const { id, expires } = version
  const differences: Difference[] = []
  if (size !== undefined && size !== wanted.keySize) {
    differences.push({
      code: 'resource-differs',
      sentence: `It has ${String(size)} bits rather than ${String(wanted.keySize)}.`,
      fix: `A key keeps its size: leave it so and give \`key-size: ${String(size)}\`, or name another key by \`key-name\`.`
    })
  }
  if (expires !== undefined) {
    differences.push({
      code: 'resource-differs',
      sentence: `Its version expires on ${new Date(expires).toISOString().slice(0, 10)}, and AKS fails with an expired key.`,
      fix: `Rotate before then, or extend it: \`az keyvault key set-attributes --id ${id.url} --expires <UTC time>\`.`
    })
  }
  const fix = `Set it: \`az keyvault key rotation-policy update --vault-name ${id.vaultName} --name ${id.name} --value '${policyOf(wanted)}'\`.`
  return [
    ...differences,
    ...rotationDifferences(wanted, rotationPolicy).map(
      (sentence) => ({ code: 'resource-differs', sentence, fix }) as const
    )
  ]
}

function rotationDifferences(
  { rotationDays }: WantedPreparation,
  policy: VaultKey['rotationPolicy']
): readonly string[] {
  const { rotateAfter, rotateBeforeExpiry, expiresAfter } = policy ?? {}
  const sentences: string[] = []
  if (expiresAfter !== undefined) {
    sentences.push(
      `Its rotation policy lets each new version expire after ${sayDuration(expiresAfter)}, while AKS stays on the version that it was given.`
    )
  }
  if (rotationDays === undefined) return sentences
  const wanted = `${String(rotationDays)} days`
  if (rotateAfter !== undefined) {
    if (daysOf(rotateAfter) !== rotationDays) {
      sentences.push(
        `Its rotation policy makes a new version every ${sayDuration(rotateAfter)} rather than every ${wanted}.`
      )
    }
  } else if (rotateBeforeExpiry !== undefined) {
    sentences.push(
      `Its rotation policy makes a new version ${sayDuration(rotateBeforeExpiry)} before the expiry rather than every ${wanted}.`
    )
  } else {
    sentences.push(`It has no rotation policy that makes a new version every ${wanted}.`)
  }
  return sentences
}

/** `P90D` as `90 days`; any other duration as it is. */
export function sayDuration(duration: string): string {
  return duration.replace(/^P(\d+)D$/, '$1 days')
}

/** Days of an ISO 8601 duration, with months and years as long as most of them are. */
function daysOf(duration: string): number {
  const [, years = 0, months = 0, weeks = 0, days = 0] =
    /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?$/.exec(duration) ?? []
  return Number(years) * 365 + Number(months) * 30 + Number(weeks) * 7 + Number(days)
}

function policyOf({ rotationDays }: WantedPreparation): string {
  const rotation = { trigger: { timeAfterCreate: `P${String(rotationDays)}D` }, action: { type: 'Rotate' } }
  return JSON.stringify({ lifetimeActions: rotationDays === undefined ? [] : [rotation] })
}

export function identityDifferences(wanted: WantedPreparation, { location }: Identity): readonly Difference[] {
  return locationDifferences(wanted, location)
}

function locationDifferences(wanted: WantedPreparation, location: string): readonly Difference[] {
  if (wanted.location === undefined || plainLocation(location) === plainLocation(wanted.location)) return []
  return [
    {
      code: 'resource-differs',
      sentence: `It is in ${location} rather than in ${wanted.location}.`,
      fix: 'It stays where it was made: leave it so and leave `location` out, or name another one.'
    }
  ]
}
