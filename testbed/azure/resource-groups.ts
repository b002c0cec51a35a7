import { armFault, sameId, type ArmRoute, type Subscriptions } from './resource-manager.ts'

export interface ResourceGroups extends Subscriptions {
  addSubscription(subscriptionId: string, tenantId: string): void
  add(subscriptionId: string, name: string, location: string): void
  exists(subscriptionId: string, name: string): boolean
  readonly routes: readonly ArmRoute[]
}

/** Subscriptions and their resource groups. */
export function createResourceGroups(): ResourceGroups {
  const tenants = new Map<string, string>()
  const groups: { readonly subscriptionId: string; readonly name: string; readonly location: string }[] = []
  const find = (subscriptionId: string, name: string): (typeof groups)[number] | undefined =>
    groups.find((group) => sameId(group.subscriptionId, subscriptionId) && sameId(group.name, name))

  return {
    addSubscription(subscriptionId, tenantId) {
      tenants.set(subscriptionId.toLowerCase(), tenantId)
    },
    add(subscriptionId, name, location) {
      if (find(subscriptionId, name) === undefined) groups.push({ subscriptionId, name, location })
    },
    exists: (subscriptionId, name) => find(subscriptionId, name) !== undefined,
    tenantOf: (subscriptionId) => tenants.get(subscriptionId.toLowerCase()),
    routes: [
      {
        method: 'GET',
        path: '/subscriptions/{subscription}',
        handle({ parameters }) {
          const { subscription: subscriptionId = '' } = parameters
          const tenantId = tenants.get(subscriptionId.toLowerCase()) ?? ''
          return {
            status: 200,
            body: {
              id: `/subscriptions/${subscriptionId}`,
              subscriptionId,
              tenantId,
              displayName: 'Test bed',
              state: 'Enabled'
            }
          }
        }
      },
      {
        method: 'GET',
        path: '/subscriptions/{subscription}/resourceGroups/{group}',
        action: 'Microsoft.Resources/subscriptions/resourceGroups/read',
        handle({ parameters }) {
          const { subscription = '', group = '' } = parameters
          const found = find(subscription, group)
          if (found === undefined) {
            return armFault(404, 'ResourceGroupNotFound', `Resource group '${group}' could not be found.`)
          }
          const { subscriptionId, name, location } = found
          return {
            status: 200,
            body: {
              id: `/subscriptions/${subscriptionId}/resourceGroups/${name}`,
              name,
              type: 'Microsoft.Resources/resourceGroups',
              location,
              tags: {},
              properties: { provisioningState: 'Succeeded' }
            }
          }
        }
      }
    ]
  }
}
