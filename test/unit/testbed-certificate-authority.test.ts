import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'

import { expect, test } from '@jest/globals'

import { createCertificateAuthority } from '../../testbed/certificate-authority.ts'

test('what it issues names its hosts and is signed by it', async () => {
  const authority = await createCertificateAuthority()
  const hosts = ['bed.vault.azure.net', '*.example.com', '127.0.0.1', '::1', '2001:db8::5:6']
  const { certificate } = await authority.issue({ hosts })
  const issued = new X509Certificate(certificate)
  const issuer = new X509Certificate(authority.certificate)
  expect(issuer.ca).toBe(true)
  expect(issued.ca).toBe(false)
  expect(issued.checkIssued(issuer)).toBe(true)
  expect(issued.verify(issuer.publicKey)).toBe(true)
  expect(issued.subject).toBe('CN=bed.vault.azure.net')
  expect(issued.checkHost('api.example.com')).toBe('*.example.com')
  for (const host of hosts.slice(2)) expect(issued.checkIP(host)).toBe(host)
})

test('no two certificates have the same serial number', async () => {
  const authority = await createCertificateAuthority()
  const issued = await Promise.all(Array.from({ length: 20 }, () => authority.issue({ hosts: [] })))
  expect(new Set(issued.map(({ certificate }) => new X509Certificate(certificate).serialNumber)).size).toBe(20)
})

test('server and client recognise each other', async () => {
  const authority = await createCertificateAuthority()
  const server = await authority.issue({ hosts: ['127.0.0.1'] })
  const client = await authority.issue({ hosts: [], commonName: 'Zoë', organizations: ['first', 'second'] })
  const listener = createServer(
    { cert: server.certificate, key: server.key, ca: authority.certificate, requestCert: true },
    (_, response) => response.end()
  )
  const clients: object[] = []
  listener.on('secureConnection', (socket) => clients.push({ ...socket.getPeerCertificate().subject }))
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  const { port } = listener.address() as AddressInfo
  try {
    const request = get({
      host: '127.0.0.1',
      port,
      agent: false,
      ca: authority.certificate,
      cert: client.certificate,
      key: client.key
    })
    await once(request, 'response')
    expect(clients).toEqual([{ O: ['first', 'second'], CN: 'Zoë' }])
  } finally {
    listener.close()
  }
})
