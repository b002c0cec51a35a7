import type { Bed } from '../../testbed/bed.ts'
import type { ControlPlane } from '../../testbed/contract.ts'

/** An address where nothing listens: tried for as long as an API server may need to come back. */
export function kubeconfigOfNobody(bed: Bed): string {
  return kubeconfigWithToken(bed.controlPlane, 'x').replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1')
}

export function kubeconfigWithToken(controlPlane: ControlPlane, token: string): string {
  return kubeconfigOf(controlPlane, { token })
}

export function kubeconfigOfAdministrator(controlPlane: ControlPlane): string {
  const { certificate, key } = controlPlane.adminCertificate
  return kubeconfigOf(controlPlane, { 'client-certificate-data': base64(certificate), 'client-key-data': base64(key) })
}

function kubeconfigOf({ server, certificateAuthority }: ControlPlane, user: object): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bed',
    contexts: [{ name: 'bed', context: { cluster: 'bed', user: 'runner' } }],
    clusters: [{ name: 'bed', cluster: { server, 'certificate-authority-data': base64(certificateAuthority) } }],
    users: [{ name: 'runner', user }]
  })
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
