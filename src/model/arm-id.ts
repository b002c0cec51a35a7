/** The last part of an ARM id. */
export function nameOf(armId: string): string {
  return armId.split('/').at(-1) ?? armId
}

/** Subscription and resource group of an ARM id; empty where it has none. */
export function groupOf(armId: string): { readonly subscriptionId: string; readonly name: string } {
  const [, subscriptionId = '', name = ''] = /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)/i.exec(armId) ?? []
  return { subscriptionId, name }
}

/** `West Europe` as Azure writes it: `westeurope`. */
export function plainLocation(location: string): string {
  return location.replaceAll(' ', '').toLowerCase()
}
