import type { ControlPlane } from '../../testbed/contract.ts'

/** An address of the API server with the administrator's credential, PEM. */
export interface Target extends Address {
  readonly certificate: string
  readonly key: string
}

/** On this machine. */
export interface Address {
  readonly port: number
  /** PEM */
  readonly certificateAuthority: string
}

export function targetOf(controlPlane: ControlPlane, port = portOf(controlPlane)): Target {
  return { port, certificateAuthority: controlPlane.certificateAuthority, ...controlPlane.adminCertificate }
}

export function portOf({ server }: { readonly server: string }): number {
  return Number(new URL(server).port)
}

export function adminKubeconfig(target: Target): string {
  return kubeconfigOf(target, {
    'client-certificate-data': base64(target.certificate),
    'client-key-data': base64(target.key)
  })
}

/** JSON is YAML too. */
export function kubeconfigOf({ port, certificateAuthority }: Address, user: Readonly<Record<string, string>>): string {
  const cluster = {
    server: `https://127.0.0.1:${String(port)}`,
    'certificate-authority-data': base64(certificateAuthority)
  }
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    clusters: [{ name: 'bench', cluster }],
    users: [{ name: 'bench', user }]
  })
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
