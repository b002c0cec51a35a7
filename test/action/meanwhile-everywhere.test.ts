import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'

import type { EncryptionConfiguration, SeedSecret } from '../../testbed/contract.ts'
import type { InjectedFault, SeenRequest } from '../../testbed/embedded-apiserver/faults.ts'
import { secretsOf } from '../fixtures/embedded-cluster.ts'
import {
  Everywhere,
  isMetrics,
  isNamespaces,
  nameOf,
  pathOf,
  secretNear,
  type Arrange,
  type Scene
} from './everywhere.ts'

/** As in faults-everywhere.test.ts: whatever others do in the cluster while any single request is under way. */

// Dozens of proofs each: seconds on a machine that has nothing else to do, minutes on one that has.
jest.setTimeout(600_000)

let everywhere: Everywhere
let undisturbed: readonly SeenRequest[]

beforeAll(async () => {
  everywhere = await Everywhere.start()
  undisturbed = (await everywhere.proveUndisturbed()).requests
})
afterAll(() => everywhere.stop())

type When = (request: SeenRequest) => boolean

const indexesOf = (requests: readonly SeenRequest[], when: When): readonly number[] =>
  requests.flatMap((request, index) => (when(request) ? [index] : []))

type Deed = (scene: Scene, request: SeenRequest) => Promise<unknown>

const NEW_VALUE = { value: Buffer.from('written meanwhile').toString('base64') }

async function write({ controlPlane, expected }: Scene, secret: SeedSecret): Promise<void> {
  await controlPlane.request('PATCH', pathOf(secret), { data: NEW_VALUE })
  expected.set(nameOf(secret), { ...secret, data: NEW_VALUE })
}

async function remove({ controlPlane, expected }: Scene, secret: SeedSecret): Promise<void> {
  await controlPlane.request('DELETE', pathOf(secret))
  expected.delete(nameOf(secret))
}

async function create({ controlPlane, expected }: Scene, secret: SeedSecret): Promise<void> {
  await controlPlane.seed([secret])
  expected.set(nameOf(secret), { ...secret })
}

const DEEDS: readonly (readonly [string, Deed])[] = [
  ['another writer updates the Secret', (scene, request) => write(scene, secretNear(request, scene.expected))],
  ['the Secret is deleted', (scene, request) => remove(scene, secretNear(request, scene.expected))],
  [
    'the Secret is deleted and made anew',
    async (scene, request) => {
      const secret = secretNear(request, scene.expected)
      await remove(scene, secret)
      await create(scene, secret)
    }
  ],
  [
    'a namespace appears',
    async (scene) => {
      for (const secret of secretsOf({ appeared: 2 })) await create(scene, secret)
    }
  ],
  [
    'a namespace vanishes',
    async ({ controlPlane, expected }, request) => {
      const { namespace } = secretNear(request, expected)
      await controlPlane.request('DELETE', `/api/v1/namespaces/${namespace}`)
      for (const [name, secret] of expected) if (secret.namespace === namespace) expected.delete(name)
    }
  ]
]

test.each(DEEDS)('%s, at every request', async (_, deed) => {
  await everywhere.strikeEverywhere({ to: undisturbed.length, changesSecrets: true }, (position, scene) =>
    scene.controlPlane.faults.inject(
      { kind: 'meanwhile', does: (request) => deed(scene, request) },
      { after: position }
    )
  )
})

test('etcd forgets the past, at every request', async () => {
  await everywhere.strikeEverywhere({ to: undisturbed.length }, (position, { controlPlane }) =>
    controlPlane.faults.inject(
      {
        kind: 'meanwhile',
        async does() {
          const path = '/api/v1/namespaces/default/configmaps'
          await controlPlane.request('POST', path, { metadata: { generateName: 'later-' } })
          controlPlane.faults.compact()
        }
      },
      { after: position }
    )
  )
})

test('the API server is restarted, at every request', async () => {
  await everywhere.strikeEverywhere({ to: undisturbed.length }, (position, { controlPlane, newKey }) =>
    controlPlane.faults.inject({ kind: 'meanwhile', does: () => controlPlane.roll(newKey) }, { after: position })
  )
})

test('the API server takes up the key only then, at every request of the first two looks for it', async () => {
  const look = undisturbed.findIndex(({ plural }) => plural === 'secrets')
  await everywhere.strikeEverywhere({ to: 2 * look }, async (position, { controlPlane, newKey, before }) => {
    await controlPlane.roll(before)
    return controlPlane.faults.inject({ kind: 'meanwhile', does: () => controlPlane.roll(newKey) }, { after: position })
  })
})

/** The API server goes back to the old key, and after so many requests it comes to the new one again. */
const lag =
  (length: number): Arrange =>
  (position, { controlPlane, newKey, oldKey }) => {
    const roll = (encryption: EncryptionConfiguration, after: number): InjectedFault =>
      controlPlane.faults.inject({ kind: 'meanwhile', does: () => controlPlane.roll(encryption) }, { after })
    const back = roll(oldKey, position)
    const ahead = roll(newKey, position + length)
    return {
      get struck() {
        return Math.min(back.struck, ahead.struck)
      },
      remove() {
        back.remove()
        ahead.remove()
      }
    }
  }

test('an API server that still writes under the old key answers some requests, from any one on', async () => {
  await everywhere.strikeEverywhere({ to: undisturbed.length }, lag(6))
})

describe('where metrics tell nothing, an API server that still writes under the old key answers', () => {
  let allow: () => void
  let requests: readonly SeenRequest[]
  beforeAll(async () => {
    allow = everywhere.controlPlane.faults.forbid(isMetrics)
    await everywhere.changeKey()
    const run = await everywhere.prove()
    expect(run.proof).toMatchObject({ verdict: 'proved', evidence: { basis: 'passes' } })
    requests = run.requests
  })
  afterAll(() => allow())

  test('some requests, from any one of the last pass on', async () => {
    const isFirstPage: When = (request) => isNamespaces(request) && !request.query.has('continue')
    const [from = 0] = indexesOf(requests, isFirstPage).slice(-2)
    const to = requests.findIndex((request, index) => index > from && isMetrics(request))
    await everywhere.strikeEverywhere({ from, to, basis: 'passes' }, lag(6))
  })

  // Of the twelve connections four at a time are asked.
  test('all that is asked in the end, from any request of the last four connections on', async () => {
    const [from = 0] = indexesOf(requests, isMetrics).slice(-4)
    await everywhere.strikeEverywhere({ from, to: requests.length, basis: 'passes' }, lag(60))
  })
})

test('a namespace with Secrets under the old key appears, as long as the last pass looks around for such', async () => {
  const lists = indexesOf(undisturbed, (request) => isNamespaces(request) && !request.query.has('continue'))
  // At the beginning of each of the two passes, and when it has come to the end of what it found then.
  expect(lists).toHaveLength(4)
  await everywhere.strikeEverywhere({ to: (lists[3] ?? 0) + 1, changesSecrets: true }, (position, scene) => {
    const { controlPlane, newKey, oldKey } = scene
    async function does(): Promise<void> {
      await controlPlane.roll(oldKey)
      for (const secret of secretsOf({ appeared: 2 })) await create(scene, secret)
      await controlPlane.roll(newKey)
    }
    return controlPlane.faults.inject({ kind: 'meanwhile', does }, { after: position })
  })
})
