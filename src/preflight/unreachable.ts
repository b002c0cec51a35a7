import type { Cluster } from '../model/cluster.ts'
import { refusal, type Finding } from '../model/finding.ts'

/**
 * Why the API server did not answer this runner, where Azure says what stands in the way; undefined where it does not. `said` is
 * what happened, in one sentence; `isKnown` whether its name was known to the runner's DNS.
 */
export function explainUnreachable(
  { apiServerAccess, vnetIntegration, id }: Cluster,
  said: string,
  { isKnown }: { readonly isKnown: boolean }
): Finding | undefined {
  const { isPrivate, authorizedIpRanges } = apiServerAccess
  if (isPrivate) {
    const way = vnetIntegration ? 'the subnet of its VNet integration' : 'its private endpoint'
    return refusal('api-server-private', `${said} The cluster is private: nothing but ${way} leads to its API server.`)
  }
  if (!isKnown || authorizedIpRanges.length === 0) return undefined
  const ranges = authorizedIpRanges.join(',')
  return refusal(
    'api-server-authorized-ranges',
    `${said} It admits authorized addresses only, and this runner’s may not be among them: ${authorizedIpRanges.join(', ')}.`,
    `Add the address that this runner goes out by: \`az aks update --ids ${id} --api-server-authorized-ip-ranges ${ranges},<address>/32\`. The list replaces the one before. GitHub-hosted runners change their addresses; larger runners with static ones, and self-hosted ones, don’t.`
  )
}
