import { FIRST_INTERVAL, nextInterval } from '../azure/long-running-operation.ts'
import { nameOf } from '../model/arm-id.ts'
import { withPreparation } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { pause } from '../pause.ts'
import { sayTime } from './say-time.ts'
import type { StepContext, StepDefinition } from './step-definition.ts'

type WaitForVault = Extract<Step, { kind: 'wait-for-vault' }>

export const waitForVault: StepDefinition<WaitForVault> = {
  withoutLock: true,
  describe({ vaultId }) {
    return `Wait until the new vault ${nameOf(vaultId)} is ready and lets this workflow read its keys`
  },
  predict(_step, observed) {
    return withPreparation(observed, ({ vault, key }) => ({
      vault: vault.kind === 'readable' ? { kind: 'readable', vault: { ...vault.vault, provisioned: true } } : vault,
      key: key?.kind === 'readable' ? key : { kind: 'unreadable', reason: 'not-found', message: '' }
    }))
  },
  async perform(step, context) {
    const { log, signal } = context
    log.info(`Azure may take until ${sayTime(step.until)}.`)
    for (let interval = FIRST_INTERVAL; ; interval = nextInterval(interval)) {
      await pause(Math.min(interval, Math.max(0, step.until - Date.now())), signal)
      const obstacle = await obstacleOf(step, context)
      if (obstacle === undefined || Date.now() >= step.until) return
      log.info(obstacle)
    }
  }
}

async function obstacleOf(
  { vaultId, keyName }: WaitForVault,
  { vaults, vaultKeys, signal }: StepContext
): Promise<string | undefined> {
  const observation = await vaults.read(vaultId, signal)
  if (observation.kind === 'readable' && !observation.vault.provisioned) return 'The vault is still being made.'
  const key = await vaultKeys.read(vaultId, keyName, Date.now(), signal)
  if (key.kind === 'readable' || key.reason !== 'forbidden') return undefined
  return 'The roles that hold at the new vault have not spread to it yet.'
}
