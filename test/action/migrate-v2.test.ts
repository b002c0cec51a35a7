import { describe, expect, test } from '@jest/globals'
import { at, listAt, textAt } from '../../testbed/azure/json.ts'
import { startEmbeddedBed, type Bed } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectGreen, expectRed, expectStored, recordOf, LOCK } from './expectations.ts'

const seeds = demoSecrets({ secrets: 20, namespaces: 3 })
const CLUSTER = /managedClusters\/[^/]+$/

/** What each update asked for, as `<control plane> <pools> <KMS on or off>`, and refused ones with their status. */
function updatesOf(bed: Bed): readonly string[] {
  return bed.azure.writes
    .filter(({ method, path }) => method === 'PUT' && CLUSTER.test(path))
    .map(({ body, status }) => {
      const cluster = body as Parameters<typeof at>[0]
      const pools = new Set(
        listAt(cluster, 'properties', 'agentPoolProfiles').map((pool) => textAt(pool, 'orchestratorVersion'))
      )
      const kms = at(cluster, 'properties', 'securityProfile', 'azureKeyVaultKms', 'enabled') === true
      const asked = [textAt(cluster, 'properties', 'kubernetesVersion'), [...pools].join('+'), kms ? 'on' : 'off']
      return [...asked, ...(status === 200 ? [] : [status])].join(' ')
    })
}

async function kmsVersions(bed: Bed): Promise<readonly string[]> {
  const stored = await bed.controlPlane.storedSecrets()
  return [...new Set(stored.map(({ provider }) => provider.split(':').slice(0, 4).join(':')))]
}

describe('from 1.25 with KMS v1 on to 1.29', () => {
  test('off, the control plane to 1.27, on; then the rest of the way, nodes no more than two minors behind', async () => {
    const bed = await startEmbeddedBed({
      kms: true,
      timeScale: 0.0002,
      secrets: seeds,
      cluster: { kubernetesVersion: '1.25.6' },
      offeredVersions: ['1.25.6', '1.26.3', '1.26.9', '1.27.9', '1.28.5', '1.29.2', '1.30.1']
    })
    try {
      expect(await kmsVersions(bed)).toEqual(['k8s:enc:kms:v1'])
      const result = await bed.run('migrate-v2', { 'kubernetes-version': '1.29' })
      const report = expectGreen(result)
      expect(updatesOf(bed)).toEqual([
        '1.25.6 1.25.6 off',
        '1.26.9 1.25.6 off',
        '1.27.9 1.25.6 off',
        '1.27.9 1.25.6 on',
        '1.27.9 1.27.9 on',
        '1.28.5 1.27.9 on',
        '1.29.2 1.27.9 on',
        '1.29.2 1.29.2 on'
      ])
      expect(report.after?.kubernetesVersion).toBe('1.29.2')
      expect(result.outputs).toMatchObject({ changed: 'true', proved: 'true' })
      await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
      expect(await kmsVersions(bed)).toEqual(['k8s:enc:kms:v2'])
      expect(await recordOf(bed)).not.toHaveProperty('goal')
      expect(expectGreen(await bed.run('migrate-v2')).sentence).toMatch(/already/)
    } finally {
      await bed.stop()
    }
  })
})

test('interrupted at every update, and run again each time, it ends where it was to end', async () => {
  const bed = await startEmbeddedBed({
    kms: true,
    timeScale: 0.0002,
    secrets: seeds,
    cluster: { kubernetesVersion: '1.25.6' }
  })
  try {
    const updates = [
      '1.25.6 1.25.6 off',
      '1.26.9 1.25.6 off',
      '1.27.9 1.25.6 off',
      '1.27.9 1.25.6 on',
      '1.27.9 1.27.9 on'
    ]
    for (let done = 1; done <= updates.length; done++) {
      const kill = new AbortController()
      bed.azure.disturb({ method: 'GET', url: /\/operations\//, meanwhile: () => kill.abort() })
      expect(await bed.run('migrate-v2', {}, { kill: kill.signal })).toMatchObject({ exitCode: null })
      expect(updatesOf(bed)).toEqual(updates.slice(0, done))
      expect(await recordOf(bed)).toHaveProperty('goal')
      // The lease of a lost run expires in a minute; what a test of the lock waits for is not waited for here.
      await bed.controlPlane.request('DELETE', LOCK)
    }
    expectGreen(await bed.run('migrate-v2'))
    expect(updatesOf(bed)).toEqual(updates)
    await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
    expect(await recordOf(bed)).not.toHaveProperty('goal')
  } finally {
    await bed.stop()
  }
})

test('an upgrade of nodes that fails leaves every Secret under KMS v2, and the next run ends it', async () => {
  const bed = await startEmbeddedBed({
    kms: true,
    timeScale: 0.0002,
    secrets: seeds,
    cluster: { kubernetesVersion: '1.26.6' }
  })
  try {
    const message = 'Drain of node aks-work-1 failed: Cannot evict pod as it would violate the pod’s disruption budget.'
    bed.azure.disturb({
      method: 'PUT',
      url: CLUSTER,
      // Off, the control plane, on.
      skip: 3,
      meanwhile: () => bed.cluster.failNextOperation({ code: 'PodDrainFailure', message })
    })
    const { error } = expectRed(await bed.run('migrate-v2'), 'cluster-update-failed')
    expect(error?.message).toContain('PodDisruptionBudget')
    expect(error?.fix).toContain('kubectl get pdb')
    await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
    expectGreen(await bed.run('migrate-v2'))
    expect(updatesOf(bed).at(-1)).toBe('1.27.9 1.27.9 on')
    await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
  } finally {
    await bed.stop()
  }
})
