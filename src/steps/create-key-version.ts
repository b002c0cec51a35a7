import type { KeyDetails } from '../model/key.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import { keyIdOf } from '../model/kms-profile.ts'
import { keyOf } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import type { StepDefinition } from './step-definition.ts'

/** Stands in a plan for the version that Key Vault has not made yet. */
export const PLANNED_VERSION = 'new'

export const createKeyVersion: StepDefinition<Extract<Step, { kind: 'create-key-version' }>> = {
  describe(step) {
    return `Make a new version of the key ${step.vaultUrl}/keys/${step.keyName}`
  },
  predict(step, observed) {
    const id = keyVersionFrom(`${step.vaultUrl}/keys/${step.keyName}/${PLANNED_VERSION}`)
    const pinned = keyOf(observed, (observed.cluster && keyIdOf(observed.cluster.kms)) ?? '')
    if (id === undefined || pinned?.kind !== 'readable') return observed
    // Key Vault makes the new version of the same type as the newest.
    const key: KeyDetails = {
      ...pinned.key,
      id,
      enabled: true,
      created: observed.now,
      notBefore: undefined,
      expires: undefined
    }
    const known = observed.keyVersions?.kind === 'readable' ? observed.keyVersions.versions : []
    return {
      ...observed,
      keys: new Map([...observed.keys, [id.url.toLowerCase(), { kind: 'readable', key }]]),
      keyVersions: { kind: 'readable', versions: [...known, key] },
      madeKeyId: id.url
    }
  },
  async perform(step, { keyVault, memory, log, signal }) {
    const created = await keyVault.createVersion(step.vaultUrl, step.keyName, signal)
    memory.madeKeyId = created.url
    log.info(`Made ${created.url}`)
  }
}
