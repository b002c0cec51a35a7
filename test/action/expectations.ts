import { expect } from '@jest/globals'
import type { Code } from '../../src/errors.ts'
import type { RunReport } from '../../src/model/report.ts'
import type { Bed, Inputs } from '../../testbed/bed.ts'
import type { SeedSecret } from '../../testbed/contract.ts'
import { tallyStored } from '../../testbed/etcd/tally.ts'
import type { RunResult } from '../../testbed/runner/run-action.ts'
import { compareContents } from '../../testbed/seed.ts'

export function reportOf(result: RunResult): RunReport {
  if (result.report === undefined) throw new Error(`No report was written:\n${readable(result.log)}`)
  return JSON.parse(result.report) as RunReport
}

export function expectGreen(result: RunResult): RunReport {
  const report = reportOf(result)
  if (result.exitCode !== 0) throw new Error(`${String(result.exitCode)}: ${report.sentence}\n${readable(result.log)}`)
  return report
}

/** Red with this code, said in annotation and summary, with a link to the docs. */
export function expectRed(result: RunResult, code: Code): RunReport {
  const report = reportOf(result)
  expect({ exitCode: result.exitCode, code: report.error?.code, message: report.sentence }).toEqual({
    exitCode: code === 'cancelled' ? 130 : 1,
    code,
    message: report.sentence
  })
  expect(result.annotations.filter(({ level }) => level === 'error').map(({ title }) => title)).toContainEqual(
    expect.stringContaining(code)
  )
  expect(result.annotations).toContainEqual(
    expect.objectContaining({ level: 'error', message: expect.stringContaining('Fix: ') })
  )
  expect(result.summary).toContain(`troubleshooting.md#${code}`)
  return report
}

/** Red with the code, and neither Azure nor the cluster was written to. */
export async function expectRefused(
  bed: Bed,
  code: Code,
  operation: string,
  inputs: Inputs,
  env: Inputs = {}
): Promise<RunReport> {
  const [writes, secrets, record] = [
    bed.azure.writes.length,
    await bed.controlPlane.storedSecrets(),
    await recordOf(bed)
  ]
  const result = await bed.run(operation, inputs, { env })
  const report = expectRed(result, code)
  expect(bed.azure.writes.slice(writes)).toEqual([])
  expect(await bed.controlPlane.storedSecrets()).toEqual(secrets)
  expect(await recordOf(bed)).toEqual(record)
  return report
}

/** Every Secret lies under this key version, or none (`identity`), by its bytes in etcd; and says what it said before. */
export async function expectStored(bed: Bed, seeds: readonly SeedSecret[], keyId: string): Promise<void> {
  if (keyId === '') throw new Error('There is no such key version.')
  const stored = await bed.controlPlane.storedSecrets()
  const tally = tallyStored(stored, bed.keyIds())
  expect(Object.keys(tally)).toEqual([keyId === 'identity' ? 'identity' : expect.stringContaining(keyId)])
  expect(stored).toHaveLength(seeds.length)
  expect(await compareContents(bed.controlPlane, seeds)).toEqual([])
}

/** The record's data as kubectl would show it. */
export async function recordOf(bed: Bed): Promise<Readonly<Record<string, string>> | undefined> {
  const answer = await bed.controlPlane.request('GET', '/api/v1/namespaces/kube-system/configmaps/kms-etcd-encryption')
  return answer.status === 404 ? undefined : (answer.body as { readonly data: Record<string, string> }).data
}

/** The Lease by which one run at a time works on a cluster. A test deletes it where a killed run would be waited for. */
export const LOCK = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kms-etcd-encryption'

/** Who holds the lock; undefined where nobody ever did. */
export async function lockHolder(bed: Bed): Promise<string | undefined> {
  const answer = await bed.controlPlane.request('GET', LOCK)
  if (answer.status === 404) return undefined
  return (answer.body as { readonly spec: { readonly holderIdentity?: string } }).spec.holderIdentity ?? ''
}

/** The log without the lines that carry what is to be masked. */
export function readable(log: string): string {
  return log
    .split('\n')
    .filter((line) => !line.startsWith('::add-mask::') && !line.startsWith('::debug::'))
    .join('\n')
}
