// Before all else, as in src/index.ts.
import '../../../src/small-heap.ts'

import { Api } from '../../../src/kubernetes/api.ts'
import { readKubeconfig } from '../../../src/kubernetes/connection.ts'
import { proveSecrets } from '../../../src/kubernetes/proof.ts'
import { reencryptSecrets } from '../../../src/kubernetes/reencryption.ts'
import type { Evidence } from '../../../src/model/api-servers.ts'
import {
  countOutcome,
  NO_SECRETS,
  type ProofVerdict,
  type SecretCounts,
  type SecretTally
} from '../../../src/model/secrets.ts'
import { adminKubeconfig, type Target } from '../target.ts'
import { measureUsage, serve, type Usage } from '../worker.ts'

/** The action's own engine, without what is around it. */
export type ActionHandlers = typeof handlers

const handlers = {
  /** One walk over every Secret. */
  async pass(target: Target): Promise<{ readonly usage: Usage; readonly result: SecretCounts }> {
    const endpoint = readKubeconfig({ kubeconfig: adminKubeconfig(target) })
    return await measureUsage(async () => {
      const counts: SecretTally = { ...NO_SECRETS }
      const api = new Api({ endpoint })
      try {
        await reencryptSecrets({ api, onOutcome: (outcome) => countOutcome(counts, outcome) })
      } finally {
        api.close()
      }
      return counts
    })
  },

  /** What comes after the pass that re-encrypted all: the passes until nothing was stale, and the evidence. */
  async proof(task: { readonly target: Target; readonly keyId: string }): Promise<{
    readonly usage: Usage
    readonly result: { readonly verdict: ProofVerdict; readonly basis: Evidence['basis'] }
  }> {
    const endpoint = readKubeconfig({ kubeconfig: adminKubeconfig(task.target) })
    return await measureUsage(async () => {
      const { verdict, evidence, brokenOff } = await proveSecrets({
        endpoint,
        writeKey: { kind: 'key', keyId: task.keyId }
      })
      if (brokenOff !== undefined) throw brokenOff.error
      return { verdict, basis: evidence.basis }
    })
  }
}

serve(handlers)
