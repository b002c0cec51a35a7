import { ActionError } from '../errors.ts'
import { byAge, usableVersions } from '../model/key.ts'
import { sameKeyVersion } from '../model/key-id.ts'
import type { Observed } from '../model/observed.ts'
import type { Step } from '../model/step.ts'
import { pause } from '../pause.ts'
import { formatDuration } from '../report/text.ts'
import type { StepDefinition } from './step-definition.ts'

/** A container that keeps failing is started anew every 5 minutes at the latest; and half of the run's own time is left for its work. */
const LIMIT_MS = 15 * 60_000
const POLL_MS = 3_000

export const waitForApiServers: StepDefinition<Extract<Step, { kind: 'wait-for-api-servers' }>> = {
  withoutLock: true,
  describe() {
    return 'Wait until the API servers are ready'
  },
  predict(_step, observed) {
    return { ...observed, apiServersReady: true }
  },
  async perform(_step, context) {
    const { timeout, signal, log } = context
    const kubernetes = await context.kubernetes()
    const startedAt = performance.now()
    const limit = Math.min(LIMIT_MS, timeout / 2)
    for (let said = ''; ;) {
      const obstacle = await kubernetes.obstacle()
      if (obstacle === undefined) return
      const waited = performance.now() - startedAt
      if (waited >= limit) {
        const message = `Not every API server is ready after ${formatDuration(waited)}. ${obstacle.sentence}`
        throw new ActionError('api-servers-not-ready', [message, ...suspicion(context.observed)].join(' '))
      }
      if (obstacle.sentence !== said) log.info(`Not ready yet. ${obstacle.sentence}`)
      said = obstacle.sentence
      await pause(POLL_MS, signal)
    }
  }
}

/** AKS holds the key version before the one in use too; where the record can't be read, it may be the next older one. */
function suspicion({ cluster, keyVersions, now }: Observed): readonly string[] {
  if (cluster?.kms.enabled !== true || keyVersions?.kind !== 'readable') return []
  const { keyId } = cluster.kms
  const inUse = keyVersions.versions.find(({ id }) => sameKeyVersion(id.url, keyId))
  const older = keyVersions.versions.filter((version) => inUse !== undefined && byAge(version, inUse) < 0)
  const next = older.toSorted(byAge).at(-1)
  if (next === undefined || usableVersions([next], now).length > 0) return []
  return [
    `The next older key version can’t be used either: ${next.id.url}. If AKS still holds it, make it usable again.`
  ]
}
