import type { ControlPlaneOptions, KubernetesUser } from '../contract.ts'
import type { Incoming } from './listener.ts'

export const anonymous: KubernetesUser = { username: 'system:anonymous', groups: ['system:unauthenticated'] }

const authenticated = 'system:authenticated'

/**
 * Who asks, by client certificate or bearer token. Undefined is a 401: a credential of nobody. Who brings none at all is nobody
 * in particular.
 */
export function authenticate(
  { header, certificate }: Incoming,
  authenticateToken: ControlPlaneOptions['authenticateToken']
): KubernetesUser | undefined {
  if (certificate !== undefined && certificate !== 'untrusted') {
    return { ...certificate, groups: [...certificate.groups, authenticated] }
  }
  const token = /^Bearer +(.+)$/i.exec(header('authorization'))?.[1]
  if (token === undefined) return certificate === undefined ? anonymous : undefined
  const user = authenticateToken(token)
  return user === undefined ? undefined : { ...user, groups: [...user.groups, authenticated] }
}
