import { generateKeyPairSync } from 'node:crypto'

import { createCertificateAuthority } from '../certificate-authority.ts'

interface Certified {
  readonly certificate: string
  readonly key: string
}

/** Keys and certificates of one control plane, PEM. */
export interface Pki {
  readonly certificateAuthority: string
  readonly serving: Certified
  /** Of the group `system:masters`, which may do everything. */
  readonly admin: Certified
  readonly serviceAccountKey: string
}

export async function createPki(): Promise<Pki> {
  const authority = await createCertificateAuthority()
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    certificateAuthority: authority.certificate,
    serving: await authority.issue({ hosts: ['127.0.0.1', 'localhost', 'kubernetes.default.svc'] }),
    admin: await authority.issue({ hosts: [], commonName: 'masterclient', organizations: ['system:masters'] }),
    serviceAccountKey: privateKey.export({ type: 'sec1', format: 'pem' }).toString()
  }
}
