import { expect } from '@jest/globals'
import type { RunReport } from '../../src/model/report.ts'
import { kmsOf } from '../../testbed/azure/cluster-rules.ts'
import type { Bed } from '../../testbed/bed.ts'
import type { SeedSecret } from '../../testbed/contract.ts'
import { expectGreen, expectStored, recordOf } from './expectations.ts'

/** Somebody else changes the key, past the action: `re-encrypt` finds it out, and does all that is left to do. */
export async function expectReencryptedAfterChange(
  bed: Bed,
  seeds: readonly SeedSecret[],
  { from, to }: { readonly from: string; readonly to: string }
): Promise<RunReport> {
  await bed.cluster.changeKms({ ...kmsOf(bed.cluster.body), keyId: to })
  await expectStored(bed, seeds, from)
  const writes = bed.azure.writes.length
  const result = await bed.run('re-encrypt')
  const report = expectGreen(result)
  await expectStored(bed, seeds, to)
  expect(bed.azure.writes).toHaveLength(writes)
  expect(result.outputs).toMatchObject({
    changed: 'false',
    proved: 'true',
    'key-id-before': to,
    'key-id-after': to,
    'secrets-re-encrypted': String(seeds.length)
  })
  expect(await recordOf(bed)).toMatchObject({ provedKeyId: to })
  return report
}
