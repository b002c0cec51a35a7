import { FIRST_INTERVAL, nextInterval } from '../azure/long-running-operation.ts'
import { ActionError } from '../errors.ts'
import { nameOf } from '../model/arm-id.ts'
import { keyVersionFrom } from '../model/key-id.ts'
import { withPreparation } from '../model/observed.ts'
import { keyScope } from '../model/preparation.ts'
import { isSpreading } from '../model/preparation-access.ts'
import type { Step } from '../model/step.ts'
import { pause } from '../pause.ts'
import { PLANNED_VERSION } from './create-key-version.ts'
import { noteMade } from './note-made.ts'
import type { StepContext, StepDefinition } from './step-definition.ts'

type CreateKey = Extract<Step, { kind: 'create-key' }>

export const createKey: StepDefinition<CreateKey> = {
  withoutLock: true,
  describe({ vaultId, keyName, keySize, rotationDays }) {
    const rotation =
      rotationDays === undefined ? '' : `, of which Key Vault makes a new version every ${String(rotationDays)} days`
    return `Make the RSA key ${keyName} of ${String(keySize)} bits in the vault ${nameOf(vaultId)}${rotation}`
  },
  predict({ vaultUrl, keyName, keySize, rotationDays }, observed) {
    const id = keyVersionFrom(`${vaultUrl}/keys/${keyName}/${PLANNED_VERSION}`)
    if (id === undefined) return observed
    const version = {
      id,
      enabled: true,
      created: observed.now,
      notBefore: undefined,
      expires: undefined,
      keyType: 'RSA',
      keyOperations: ['encrypt', 'decrypt']
    }
    const rotationPolicy =
      rotationDays === undefined
        ? undefined
        : { rotateAfter: `P${String(rotationDays)}D`, rotateBeforeExpiry: undefined, expiresAfter: undefined }
    return withPreparation(observed, () => ({
      key: { kind: 'readable', key: { version, size: keySize, rotationPolicy } }
    }))
  },
  async perform(step, context) {
    noteMade(context, 'key', keyScope(step), await createOncePermitted(step, context))
  }
}

/** Reading may be permitted at a new vault already where writing is not. */
async function createOncePermitted(
  { vaultId, keyName, keySize, rotationDays }: CreateKey,
  { vaultKeys, observed, log, signal }: StepContext
): Promise<'made' | 'was-there'> {
  const { vault } = observed.preparation ?? {}
  const createdAt = vault?.kind === 'readable' ? vault.vault.createdAt : undefined
  for (let interval = FIRST_INTERVAL; ; interval = nextInterval(interval)) {
    try {
      return await vaultKeys.create(vaultId, { name: keyName, size: keySize, rotationDays }, signal)
    } catch (error) {
      const mayWait =
        error instanceof ActionError && error.code === 'key-forbidden' && isSpreading(createdAt, Date.now())
      if (!mayWait) throw error
      log.info('The roles that hold at the new vault have not spread to it yet. Trying again.')
    }
    await pause(interval, signal)
  }
}
