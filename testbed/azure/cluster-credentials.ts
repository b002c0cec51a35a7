import { dump } from 'js-yaml'

import type { ControlPlane } from '../contract.ts'
import type { WireAnswer } from '../network.ts'
import { AKS_SERVER_APPLICATION, type BedCloud } from './clouds.ts'
import { aksFault } from './cluster-rules.ts'
import { at, textAt, type JsonObject } from './json.ts'

/** The public client that `kubelogin` signs people in with. */
const KUBELOGIN_CLIENT = '80faf920-1908-4b52-b5ef-a8e7bedfc67a'

interface CredentialRequest {
  readonly body: JsonObject
  readonly cloud: BedCloud
  readonly controlPlane: ControlPlane | undefined
}

/** listClusterAdminCredential: a client certificate, while local accounts are allowed. */
export function adminCredential({ body, controlPlane }: CredentialRequest): WireAnswer {
  if (at(body, 'properties', 'disableLocalAccounts') === true) {
    return aksFault(
      400,
      'BadRequest',
      "Getting static credential isn't allowed because this cluster is set to disable local accounts."
    )
  }
  if (controlPlane === undefined) return notReady()
  return kubeconfig(body, controlPlane, 'clusterAdmin', certificateUser(controlPlane))
}

/** listClusterUserCredential: through Entra where the cluster has it, else the same certificate. */
export function userCredential({ body, cloud, controlPlane }: CredentialRequest, format: string): WireAnswer {
  if (controlPlane === undefined) return notReady()
  const tenantId = textAt(body, 'properties', 'aadProfile', 'tenantID')
  if (at(body, 'properties', 'aadProfile', 'managed') !== true) {
    return kubeconfig(body, controlPlane, 'clusterUser', certificateUser(controlPlane))
  }
  const user = format === 'azure' ? authProvider(cloud, tenantId) : execPlugin(cloud, tenantId)
  return kubeconfig(body, controlPlane, 'clusterUser', user)
}

function execPlugin(cloud: BedCloud, tenantId: string): JsonObject {
  return {
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1beta1',
      args: [
        'get-token',
        '--environment',
        cloud.name,
        '--server-id',
        AKS_SERVER_APPLICATION,
        '--client-id',
        KUBELOGIN_CLIENT,
        '--tenant-id',
        tenantId,
        '--login',
        'devicecode'
      ],
      command: 'kubelogin',
      env: null,
      installHint: 'kubelogin is not installed which is required to connect to AAD enabled cluster.',
      provideClusterInfo: false
    }
  }
}

function authProvider(cloud: BedCloud, tenantId: string): JsonObject {
  return {
    'auth-provider': {
      name: 'azure',
      config: {
        'apiserver-id': AKS_SERVER_APPLICATION,
        'client-id': KUBELOGIN_CLIENT,
        'config-mode': '1',
        environment: cloud.name,
        'tenant-id': tenantId
      }
    }
  }
}

function certificateUser({ adminCertificate }: ControlPlane): JsonObject {
  return {
    'client-certificate-data': base64(adminCertificate.certificate),
    'client-key-data': base64(adminCertificate.key)
  }
}

function kubeconfig(body: JsonObject, controlPlane: ControlPlane, kind: string, user: JsonObject): WireAnswer {
  const cluster = textAt(body, 'name')
  const userName = `${kind}_${textAt(body, 'id').split('/')[4] ?? ''}_${cluster}`
  const context = kind === 'clusterAdmin' ? `${cluster}-admin` : cluster
  const config: JsonObject = {
    apiVersion: 'v1',
    clusters: [
      {
        name: cluster,
        cluster: {
          'certificate-authority-data': base64(controlPlane.certificateAuthority),
          server: controlPlane.server
        }
      }
    ],
    contexts: [{ name: context, context: { cluster, user: userName } }],
    'current-context': context,
    kind: 'Config',
    preferences: {},
    users: [{ name: userName, user }]
  }
  return { status: 200, body: { kubeconfigs: [{ name: kind, value: base64(dump(config)) }] } }
}

function notReady(): WireAnswer {
  return aksFault(409, 'OperationNotAllowed', 'The cluster has no control plane yet.')
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
