import type { KubernetesUser } from '../contract.ts'
import type { RequestInfo } from './request-info.ts'
import { forbidden, forbiddenPath, type StatusError } from './status.ts'

export const administrators = 'system:masters'
/** Whom the bed binds to a role that may do everything, in place of AKS's own roles. */
export const operators = 'aks-kms-operators'

/** Whom the bed binds to a role that may get ConfigMaps and nothing else. */
export const readers = 'aks-kms-readers'

export const mayDoAnything = ({ groups }: KubernetesUser): boolean =>
  groups.includes(administrators) || groups.includes(operators)

/** Whether a role that is bound to the user permits the request. */
export const isPermitted = (user: KubernetesUser, { group, plural, verb }: RequestInfo): boolean =>
  mayDoAnything(user) || (user.groups.includes(readers) && group === '' && plural === 'configmaps' && verb === 'get')

/** What everybody may do who is somebody: `system:discovery` and `system:basic-user`. */
const openPaths = ['/version', '/readyz', '/livez', '/healthz']

/** @param permitted - whether a role that is bound to the user permits it. */
export function denial(user: KubernetesUser, info: RequestInfo, permitted: boolean): StatusError | undefined {
  if (permitted) return undefined
  const authenticated = user.groups.includes('system:authenticated')
  const asksForItself =
    authenticated && info.group === 'authorization.k8s.io' && info.plural === 'selfsubjectaccessreviews'
  if (asksForItself && info.verb === 'create') return undefined
  if (info.verb === 'get' && openPaths.includes(info.path)) return undefined
  const who = `User ${JSON.stringify(user.username)} cannot ${info.verb}`
  if (info.plural === '') return forbiddenPath(`${who} path ${JSON.stringify(info.path)}`)
  const where = info.namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(info.namespace)}`
  const what = `resource ${JSON.stringify(info.plural)} in API group ${JSON.stringify(info.group)} ${where}`
  return forbidden({ group: info.group, plural: info.plural, kind: info.plural }, info.name, `${who} ${what}`)
}
