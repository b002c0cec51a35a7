import { afterAll, beforeAll, test } from '@jest/globals'

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

let everywhere: Everywhere
let undisturbed: readonly SeenRequest[]

beforeAll(async () => {
  everywhere = await Everywhere.start()
  undisturbed = (await everywhere.proveUndisturbed()).requests
})
afterAll(() => everywhere.stop())

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

test('the API server takes up the key only then, at every request', async () => {
  await everywhere.strikeEverywhere({ to: undisturbed.length }, async (position, { controlPlane, newKey, before }) => {
    await controlPlane.roll(before)
    return controlPlane.faults.inject({ kind: 'meanwhile', does: () => controlPlane.roll(newKey) }, { after: position })
  })
})

/** For so many requests; they find another one on the way, or the same one gone back. */
const LAGGING_REQUESTS = 6

const lag: Arrange = (position, { controlPlane, newKey, oldKey }) => {
  const { faults } = controlPlane
  const roll = (encryption: EncryptionConfiguration, after: number): InjectedFault =>
    faults.inject({ kind: 'meanwhile', does: () => controlPlane.roll(encryption) }, { after })
  const back = roll(oldKey, position)
  const ahead = roll(newKey, position + LAGGING_REQUESTS)
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
  await everywhere.strikeEverywhere({ to: undisturbed.length }, lag)
})

test('the same from any request of the last pass on, where metrics tell nothing', async () => {
  const allow = everywhere.controlPlane.faults.forbid(isMetrics)
  await everywhere.changeKey()
  const { requests } = await everywhere.prove()
  const from = requests.findLastIndex((request) => isNamespaces(request) && request.query.has('continue'))
  await everywhere.strikeEverywhere({ from, to: requests.length, basis: 'passes' }, lag)
  allow()
})

test('a namespace with Secrets under the old key appears, as long as the last pass looks around for such', async () => {
  const lastLook = undisturbed.findLastIndex((request) => isNamespaces(request) && !request.query.has('continue'))
  await everywhere.strikeEverywhere({ to: lastLook + 1, changesSecrets: true }, (position, scene) => {
    const { controlPlane, newKey, oldKey } = scene
    async function does(): Promise<void> {
      await controlPlane.roll(oldKey)
      for (const secret of secretsOf({ appeared: 2 })) await create(scene, secret)
      await controlPlane.roll(newKey)
    }
    return controlPlane.faults.inject({ kind: 'meanwhile', does }, { after: position })
  })
})
