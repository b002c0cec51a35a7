import { describe, expect, test } from '@jest/globals'
import { createClusterInventory } from '../../src/azure/cluster-inventory.ts'
import type { JsonObject } from '../../src/model/json.ts'
import { API_VERSION, createResourceManager } from '../../src/azure/resource-manager.ts'
import { fakeCredential, fakePause, fakeWireOf, PUBLIC_CLOUD, rejection, type Answer } from './azure-fakes.ts'

const SUBSCRIPTION = '00000000-0000-0000-0000-000000000000'
const LIST = `https://management.azure.com/subscriptions/${SUBSCRIPTION}/providers/Microsoft.ContainerService/managedClusters?api-version=${API_VERSION}`
const NEXT = `${LIST}&%24skiptoken=eyJuZXh0IjoxfQ%3d%3d`

function page(names: readonly string[], nextLink?: string): Answer {
  return { status: 200, body: { value: names.map((name) => ({ name })), ...(nextLink !== undefined && { nextLink }) } }
}

function inventoryOf(...answers: readonly Answer[]) {
  const wire = fakeWireOf(...answers)
  const { pause, waits } = fakePause()
  const arm = createResourceManager(fakeCredential, PUBLIC_CLOUD, SUBSCRIPTION, { httpClient: wire, pause })
  return { list: createClusterInventory(arm, SUBSCRIPTION).list, sent: wire.sent, waits }
}

test('follows Azure’s own address from page to page', async () => {
  const { list, sent } = inventoryOf(page(['a', 'b'], NEXT), page([], `${NEXT}2`), page(['c'], ''))
  expect((await list(undefined)).map(({ body }) => body)).toEqual([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  expect(sent.map(({ url }) => url)).toEqual([LIST, NEXT, `${NEXT}2`])
})

test('asks for one resource group, whose name may hold more than letters', async () => {
  const { list, sent } = inventoryOf(page(['a']))
  await list('rg_(größe)')
  expect(sent[0]?.url).toContain('/resourceGroups/rg_(gr%C3%B6%C3%9Fe)/providers/')
})

test('waits as long as Azure asks for', async () => {
  const throttled = { status: 429, headers: { 'Retry-After': '7' }, body: {} }
  const { list, waits } = inventoryOf(page(['a'], NEXT), throttled, page(['b']))
  expect(await list(undefined)).toHaveLength(2)
  expect(waits).toEqual([7_000])
})

test.each([
  ['to each other', [page(['a'], NEXT), page(['b'], NEXT)], 'azure-unavailable'],
  ['to a page of HTML', [page(['a'], NEXT), { status: 200, body: '<html>' }], 'azure-request-failed'],
  ['to another host', [page(['a'], 'https://elsewhere.example/next')], 'azure-request-failed'],
  [
    'nowhere',
    [page(['a'], NEXT), { status: 404, body: { error: { code: 'ResourceGroupNotFound' } } }],
    'resource-group-not-found'
  ]
] as const)('pages that lead %s are a failure, and no short list', async (_, answers, code) => {
  const { list } = inventoryOf(...answers)
  expect(await rejection(list(undefined))).toMatchObject({ code })
})

describe('KMS data encryption', () => {
  const cluster = (id: string, minor: number, encrypted: boolean): JsonObject => ({
    id,
    properties: {
      currentKubernetesVersion: `1.${String(minor)}.1`,
      securityProfile: encrypted
        ? { kubernetesResourceObjectEncryptionProfile: { infrastructureEncryption: 'Enabled' } }
        : {}
    }
  })
  const clusters = (encrypted: boolean, spelling: (id: string) => string = String): Answer => ({
    status: 200,
    body: { value: [cluster('/a', 32, false), cluster(spelling('/b'), 33, encrypted), cluster('/c', 34, false)] }
  })

  test('is looked up for all at once, in the preview that shows it', async () => {
    const { list, sent } = inventoryOf(
      clusters(false),
      clusters(true, (id) => id.toUpperCase())
    )
    expect((await list(undefined)).map(({ dataEncryption }) => dataEncryption)).toEqual([false, true, false])
    expect(sent.map(({ url }) => url.split('=')[1])).toEqual([API_VERSION, '2025-09-02-preview'])
  })

  test('is not to be seen in a cloud without the preview', async () => {
    const { list } = inventoryOf(clusters(false), {
      status: 400,
      body: { error: { code: 'InvalidApiVersionParameter' } }
    })
    expect((await list(undefined)).map(({ dataEncryption }) => dataEncryption)).toEqual([false, false, false])
  })

  test('is not asked for where no cluster can have it', async () => {
    const { list, sent } = inventoryOf({ status: 200, body: { value: [cluster('/a', 32, false)] } })
    await list(undefined)
    expect(sent).toHaveLength(1)
  })
})
