import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startEmbeddedBed, type Bed, type BedOptions } from '../../testbed/bed.ts'
import { demoSecrets } from '../../testbed/seed.ts'
import { expectStored } from '../action/expectations.ts'
import { createRepository, type UserRepository, type WorkflowRun } from './act.ts'
import { expectGreen, expectRed, variablesOf } from './workflow-runs.ts'
import { readWorkflow } from './workflow-files.ts'

const seeds = demoSecrets({ secrets: 12, namespaces: 2 })
const WORKFLOW = '.github/workflows/manual.yml'

/** What the form sends: every input has a value, and each is a text. */
function form(given: Readonly<Record<string, string | boolean>>): Readonly<Record<string, string>> {
  const inputs = readWorkflow('workflows/manual.yml').on.workflow_dispatch?.inputs ?? {}
  for (const name of Object.keys(given)) if (!(name in inputs)) throw new Error(`The form has no ${name}.`)
  return Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => [name, String(given[name] ?? input.default ?? '')])
  )
}

function createManual(bed: Bed): UserRepository {
  const repository = createRepository(bed, bed.githubApi.createToken())
  repository.commit({ [WORKFLOW]: readFileSync('workflows/manual.yml', 'utf8') })
  repository.setVariables(variablesOf(bed))
  return repository
}

async function dispatch(
  repository: UserRepository,
  operation: string,
  given: Readonly<Record<string, string | boolean>> = {}
): Promise<WorkflowRun> {
  return await repository.run(WORKFLOW, {
    name: 'workflow_dispatch',
    payload: { ref: 'refs/heads/main', inputs: form({ operation, ...given }) }
  })
}

describe('started by hand', () => {
  let bed: Bed
  let repository: UserRepository
  const run = async (operation: string, given = {}): Promise<WorkflowRun> =>
    await dispatch(repository, operation, given)
  const done = async (operation: string, given = {}): Promise<WorkflowRun> => {
    const result = expectGreen(await run(operation, { 'dry-run': false, ...given }))
    expect(result.reports.get(bed.cluster.name)).toMatchObject({ operation, dryRun: false, result: 'done' })
    return result
  }

  beforeAll(async () => {
    bed = await startEmbeddedBed({ timeScale: 0.001, secrets: seeds })
    repository = createManual(bed)
  })
  afterAll(async () => {
    repository.remove()
    await bed.stop()
  })

  let hash = ''

  test('the default is to show the plan', async () => {
    const writes = bed.azure.writes.length
    const planned = expectGreen(await run('enable', { 'key-id': bed.keyIds()[0] ?? '' }))
    expect(planned.reports.get(bed.cluster.name)).toMatchObject({
      operation: 'enable',
      dryRun: true,
      result: 'planned'
    })
    expect(bed.azure.writes).toHaveLength(writes)
    hash = planned.reports.get(bed.cluster.name)?.plan?.hash ?? ''
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
  })

  test('enable, with the hash of the plan that was shown', async () => {
    const [keyId = ''] = bed.keyIds()
    await done('enable', { 'key-id': keyId, 'expected-plan-hash': hash })
    await expectStored(bed, seeds, keyId)
  })

  test('rotate is refused with the hash of another plan', async () => {
    const refused = expectRed(await run('rotate', { 'dry-run': false, 'expected-plan-hash': hash }))
    expect(refused.reports.get(bed.cluster.name)).toMatchObject({ result: 'refused', error: { code: 'plan-changed' } })
    expect(bed.keyIds()).toHaveLength(1)
  })

  test('rotate', async () => {
    await done('rotate')
    await expectStored(bed, seeds, bed.keyIds()[1] ?? '')
  })

  test('re-encrypt', async () => {
    await done('re-encrypt')
  })

  test('disable', async () => {
    await done('disable')
    await expectStored(bed, seeds, 'identity')
  })

  test('status', async () => {
    const looked = expectGreen(await run('status', { 'dry-run': false }))
    expect(looked.reports.get(bed.cluster.name)).toMatchObject({
      operation: 'status',
      clusters: [{ name: bed.cluster.name, kms: 'off' }]
    })
  })

  test('prepare', async () => {
    bed.azure.permitPreparer()
    const group = `/subscriptions/${bed.azure.subscriptionId}/resourceGroups/${bed.azure.resourceGroup}/providers`
    const prepared = expectGreen(
      await run('prepare', {
        'dry-run': false,
        'key-vault-resource-id': `${group}/Microsoft.KeyVault/vaults/kv-prepared`,
        'identity-resource-id': `${group}/Microsoft.ManagedIdentity/userAssignedIdentities/id-prepared`
      })
    )
    expect(prepared.reports.get('prepare')).toMatchObject({ operation: 'prepare', result: 'done' })
    expect(bed.azure.vaults.map(({ name }) => name)).toContain('kv-prepared')
  })

  test('an input that does not belong to the operation is refused', async () => {
    const refused = expectRed(await run('disable', { 'key-id': bed.keyIds()[0] ?? '' }))
    expect(refused.log).toContain('The input key-id must be empty here.')
  })
})

/** On a bed of its own; gives the cluster's report. */
async function once(
  options: BedOptions,
  operation: string,
  given: (bed: Bed, repository: UserRepository) => Readonly<Record<string, string>>,
  check: (bed: Bed) => Promise<void>
): Promise<void> {
  const bed = await startEmbeddedBed({ timeScale: 0.001, secrets: seeds, ...options })
  const repository = createManual(bed)
  try {
    const result = expectGreen(await dispatch(repository, operation, { 'dry-run': false, ...given(bed, repository) }))
    expect([...result.reports.values()]).toEqual([expect.objectContaining({ operation, result: 'done', proved: true })])
    await check(bed)
  } finally {
    repository.remove()
    await bed.stop()
  }
}

test('migrate-v2, started by hand', async () => {
  await once(
    { kms: true, cluster: { kubernetesVersion: '1.26.12' } },
    'migrate-v2',
    () => ({ 'kubernetes-version': '1.27' }),
    async (bed) => {
      await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
    }
  )
})

test('change-vault-mode, started by hand', async () => {
  await once(
    { kms: true },
    'change-vault-mode',
    (bed) => {
      bed.azure.permissions.grant(bed.azure.application.objectId, 'Key Vault Contributor', bed.vault.id)
      return { 'key-vault-network-access': 'Private', 'key-vault-resource-id': bed.vault.id }
    },
    async (bed) => {
      await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
      expect(bed.vault.properties['publicNetworkAccess']).toBe('Disabled')
    }
  )
})

test('create, started by hand, from a file of the repository', async () => {
  await once(
    { unborn: true },
    'create',
    (bed, repository) => {
      const definition = {
        location: 'westeurope',
        properties: {
          dnsPrefix: 'fresh',
          agentPoolProfiles: [{ name: 'system', mode: 'System', count: 3, vmSize: 'Standard_D4ds_v5' }],
          aadProfile: { managed: true, enableAzureRBAC: true, tenantID: bed.azure.tenantId }
        }
      }
      repository.commit({ 'aks/fresh.json': JSON.stringify(definition) })
      return {
        'cluster-definition': 'aks/fresh.json',
        'key-id': bed.keyIds()[0] ?? '',
        'identity-resource-id': bed.identity?.id ?? ''
      }
    },
    async (bed) => {
      await expectStored(bed, seeds, bed.keyIds()[0] ?? '')
    }
  )
})
