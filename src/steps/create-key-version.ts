import type { KeyDetails } from '../model/key.ts'
import { keyVersionFrom, sameKey } from '../model/key-id.ts'
import type { Step } from '../model/step.ts'
import type { StepDefinition } from './step-definition.ts'

/** Stands in a plan for versions that Key Vault has not made yet, the first of them and those after it. */
export const PLANNED_VERSION = 'new1'
const ANY_PLANNED = /^new(\d+)$/

/** As it is called in a plan; undefined for a version that is there. */
export function plannedName(version: string): string | undefined {
  const [, number] = ANY_PLANNED.exec(version) ?? []
  if (number === undefined) return undefined
  return number === '1' ? 'the new version' : `the new version ${number}`
}

export const createKeyVersion: StepDefinition<Extract<Step, { kind: 'create-key-version' }>> = {
  describe(step) {
    return `Make a new version of the key ${step.vaultUrl}/keys/${step.keyName}`
  },
  predict(step, observed) {
    const keys = [...observed.keys.values()]
    const planned = keys.filter((key) => key.kind === 'readable' && ANY_PLANNED.test(key.key.id.version))
    const id = keyVersionFrom(`${step.vaultUrl}/keys/${step.keyName}/new${String(planned.length + 1)}`)
    const present = id && keys.find((key) => key.kind === 'readable' && sameKey(key.key.id, id))
    if (id === undefined || present?.kind !== 'readable') return observed
    // Key Vault makes the new version of the same type as the newest.
    const key: KeyDetails = {
      ...present.key,
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
      madeKeyIds: [...observed.madeKeyIds, id.url]
    }
  },
  async perform(step, { keyVault, memory, log, signal }) {
    const created = await keyVault.createVersion(step.vaultUrl, step.keyName, signal)
    memory.madeKeyIds.push(created.url)
    log.info(`Made ${created.url}`)
  }
}
