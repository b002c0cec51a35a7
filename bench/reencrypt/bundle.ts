import { isJsonObject } from '../../src/model/json.ts'
import type { BenchCluster } from './cluster.ts'
import { watchProcess, type ProcessUsage } from './process-usage.ts'

/** A whole rotation by the built action, as users run it. */
export interface BundleResult extends ProcessUsage {
  readonly secrets: number
  readonly seconds: number
  readonly passes: readonly BundlePass[]
}

export interface BundlePass {
  /** `before-change` or `after-change`, of the key. */
  readonly when: string
  readonly secrets: number
  readonly reEncrypted: number
  readonly seconds: number
}

/** Before any other way has changed the cluster's key behind Azure's back. Throws when the rotation does not succeed. */
export async function measureBundle({ bed, population }: BenchCluster): Promise<BundleResult> {
  let usage: ReturnType<typeof watchProcess> | undefined
  const run = await bed.run('rotate', {}, { onStart: (pid) => (usage = watchProcess(pid)) })
  const used = usage?.end() ?? { cpuSeconds: 0, peakRssBytes: 0 }
  if (run.exitCode !== 0 || run.report === undefined) throw new Error(`The rotation failed:\n${run.log}`)
  return {
    secrets: population.secrets,
    seconds: run.durationMs / 1000,
    ...used,
    passes: passesOf(JSON.parse(run.report))
  }
}

/** By docs/report.schema.json. */
function passesOf(report: unknown): BundlePass[] {
  return listIn(report, 'proofs').flatMap((proof) =>
    listIn(proof, 'passes').map((pass): BundlePass => {
      const counts = valueIn(pass, 'counts')
      return {
        when: String(valueIn(proof, 'when')),
        secrets: Number(valueIn(counts, 'total')),
        reEncrypted: Number(valueIn(counts, 'reEncrypted')),
        seconds: Number(valueIn(pass, 'durationMs')) / 1000
      }
    })
  )
}

function listIn(object: unknown, name: string): readonly unknown[] {
  const value = valueIn(object, name)
  return Array.isArray(value) ? value : []
}

function valueIn(object: unknown, name: string): unknown {
  return isJsonObject(object) ? object[name] : undefined
}
