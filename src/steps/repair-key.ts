import type { KeyRepair } from '../azure/key-vault.ts'
import { toActionError } from '../errors.ts'
import type { KeyDetails, KeyDefect } from '../model/key.ts'
import { keyVersionFrom, sameKeyVersion, type KeyVersion } from '../model/key-id.ts'
import { keyOf, type Observed } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { DAY_MS } from '../model/time.ts'
import type { StepDefinition } from './step-definition.ts'

type RepairKey = Extract<Step, { kind: 'repair-key' }>

export const repairKey: StepDefinition<RepairKey> = {
  // The API server that gives the lock may be down because of the key.
  withoutLock: true,
  describe(step) {
    return `Repair the key version ${step.keyId}: ${step.defects.map((defect) => remedyOf(defect, step)).join(', ')}`
  },
  predict(step, observed) {
    const id = keyVersionFrom(step.keyId)
    if (id === undefined) return observed
    const present = presentOf(observed, id)
    const { created, expires, notBefore, enabled } = present
    const key: KeyDetails = {
      ...present,
      enabled: enabled || step.defects.includes('disabled'),
      expires: step.defects.includes('expired') ? observed.now + step.validFor : expires,
      notBefore: step.defects.includes('not-yet-valid') ? Math.min(created, observed.now) : notBefore,
      repaired: observed.now
    }
    return { ...observed, keys: new Map([...observed.keys, [id.url.toLowerCase(), { kind: 'readable', key }]]) }
  },
  async perform(step, { keyVault, observed, memory, log, signal }) {
    const id = keyVersionFrom(step.keyId)
    if (id === undefined) throw new Error(`${step.keyId} names no key version.`)
    const repaired = Date.now()
    if (step.defects.includes('deleted')) {
      log.info(`Key Vault recovers the key ${id.name} with all its versions. This may take some minutes.`)
      await keyVault.recoverKey(id.vaultUrl, id.name, signal)
    }
    const { created } = presentOf(observed, id)
    const repair: KeyRepair = {
      repaired,
      ...(step.defects.includes('disabled') && { enabled: true }),
      ...(step.defects.includes('expired') && { expires: repaired + step.validFor }),
      ...(step.defects.includes('not-yet-valid') && { notBefore: Math.min(created, repaired) })
    }
    try {
      await keyVault.repairVersion(id, repair, signal)
    } catch (error) {
      signal.throwIfAborted()
      // A recovered key is whole again: without its mark only the next run does not know of the repair.
      if (!step.defects.includes('deleted')) throw error
      log.info(`The key version could not be marked as repaired: ${toActionError(error).message}`)
    }
    memory.repairedKeyIds.push(id.url)
  }
}

function remedyOf(defect: KeyDefect, { validFor }: RepairKey): string {
  switch (defect) {
    case 'deleted':
      return 'recover it'
    case 'disabled':
      return 'enable it'
    case 'expired':
      return `let it expire in ${String(Math.round(validFor / DAY_MS))} days from now`
    case 'not-yet-valid':
      return 'let it be valid from its creation on'
    case 'not-found':
      throw new Error('What is not in the vault can’t be repaired.')
  }
}

/** A deleted key can't be read; its versions are listed all the same, and are taken to be such as AKS took them. */
function presentOf(observed: Observed, id: KeyVersion): KeyDetails {
  const key = keyOf(observed, id.url)
  if (key?.kind === 'readable') return key.key
  const { keyVersions } = observed
  const listed = keyVersions?.kind === 'readable' ? keyVersions.versions : []
  return {
    id,
    enabled: true,
    created: 0,
    notBefore: undefined,
    expires: undefined,
    ...listed.find((version) => sameKeyVersion(version.id.url, id.url)),
    keyType: 'RSA',
    keyOperations: ['encrypt', 'decrypt']
  }
}
