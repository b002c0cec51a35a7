import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

import { startEmbeddedControlPlane, type EmbeddedControlPlane } from '../../testbed/embedded-apiserver/server.ts'
import { canary, canaryTraces, compareContents, demoSecrets } from '../../testbed/seed.ts'
import { authenticateToken } from './subject.ts'
import { inMemoryVault } from './vault.ts'

const key = { kind: 'kms', apiVersion: 'v2', name: 'slot0', keyId: 'https://v.vault.azure.net/keys/k/1' } as const

describe('demo Secrets', () => {
  const seeds = demoSecrets({ secrets: 500, namespaces: 8 })

  test('are the same for the same arguments, and others for another seed', () => {
    expect(demoSecrets({ secrets: 500, namespaces: 8 })).toEqual(seeds)
    expect(demoSecrets({ secrets: 500, namespaces: 8, seed: 2 })).not.toEqual(seeds)
  })

  test('have names of their own in as many namespaces as asked for', () => {
    expect(new Set(seeds.map(({ namespace, name }) => `${namespace}/${name}`)).size).toBe(500)
    expect(new Set(seeds.map(({ namespace }) => namespace)).size).toBe(8)
  })

  test('are of every kind that a cluster holds', () => {
    const share = (of: (seed: (typeof seeds)[number]) => boolean): number => seeds.filter(of).length / seeds.length
    expect(share(({ type }) => type === 'helm.sh/release.v1')).toBeCloseTo(0.02)
    expect(share(({ type }) => type === 'kubernetes.io/tls')).toBeGreaterThan(0.05)
    expect(share(({ type }) => type === 'kubernetes.io/dockerconfigjson')).toBeGreaterThan(0.03)
    expect(share(({ immutable }) => immutable === true)).toBeGreaterThan(0.02)
    expect(share(({ annotations }) => annotations !== undefined)).toBeGreaterThan(0.05)
    const helm = seeds.find(({ type }) => type === 'helm.sh/release.v1')
    expect(helm?.name).toMatch(/^sh\.helm\.release\.v1\.[a-z0-9-]+\.v\d$/)
    expect(helm?.labels).toMatchObject({ owner: 'helm' })
    expect(Buffer.from(helm?.data['release'] ?? '', 'base64').length).toBeGreaterThan(200_000)
  })

  test('betray themselves wherever they leak', () => {
    const traced = (text: string): boolean => canaryTraces.some((trace) => text.includes(trace))
    for (const seed of seeds) {
      expect(traced(JSON.stringify(seed))).toBe(true)
      const values = Object.values(seed.data).map((value) => Buffer.from(value, 'base64').toString())
      expect(values.some((value) => value.includes(canary))).toBe(true)
      const applied = Object.values(seed.annotations ?? {})
      expect(applied.every(traced)).toBe(true)
    }
  })

  describe('planted', () => {
    let controlPlane: EmbeddedControlPlane
    beforeAll(async () => {
      controlPlane = await startEmbeddedControlPlane({
        keyOperations: inMemoryVault(),
        authenticateToken,
        encryption: [key, { kind: 'identity' }]
      })
      await controlPlane.seed(seeds)
    })
    afterAll(() => controlPlane.stop())

    test('are found as they were planted, encrypted', async () => {
      expect(await compareContents(controlPlane, seeds)).toEqual([])
      const stored = await controlPlane.storedSecrets()
      expect(stored).toHaveLength(500)
      expect(stored.every(({ provider }) => provider === 'k8s:enc:kms:v2:slot0')).toBe(true)
    })

    test('are told apart from what they were when somebody changed them', async () => {
      const at = (index: number): string => {
        const { namespace = '', name = '' } = seeds[index] ?? {}
        return `/api/v1/namespaces/${namespace}/secrets/${name}`
      }
      const mutable = seeds.findIndex(({ immutable }) => immutable !== true)
      await controlPlane.request('PATCH', at(mutable), {
        data: { added: 'MQ==' },
        metadata: { labels: { added: 'x' }, annotations: { added: 'y' } }
      })
      await controlPlane.request('DELETE', at(mutable + 1))
      const name = (index: number): string => `${seeds[index]?.namespace ?? ''}/${seeds[index]?.name ?? ''}`
      expect(await compareContents(controlPlane, seeds)).toEqual([
        `${name(mutable)}: labels changed`,
        `${name(mutable)}: annotations changed`,
        `${name(mutable)}: data changed`,
        `${name(mutable + 1)}: missing`
      ])
    })
  })
})
