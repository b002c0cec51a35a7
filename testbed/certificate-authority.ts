import { createHash, generateKeyPair, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'

import type { CertificateAuthority } from './contract.ts'
import * as der from './der.ts'

const generate = promisify(generateKeyPair)

const hour = 3_600_000
const year = 365 * 24 * hour

const oid = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2'
} as const

/** A new authority with an EC P-256 key. What it issues serves the hosts named and identifies a client as well. */
export const createCertificateAuthority = async (): Promise<CertificateAuthority> => {
  const authority = await generate('ec', { namedCurve: 'P-256' })
  const name = distinguishedName('AKS test bed', [])
  const keyIdentifier = identifierOf(authority.publicKey)
  const issueTo = (subject: Buffer, publicKey: KeyObject, extensions: readonly Buffer[]): string =>
    certificate({ issuer: name, subject, publicKey, signingKey: authority.privateKey, extensions })

  return {
    certificate: issueTo(name, authority.publicKey, [
      extension(oid.basicConstraints, der.sequence(der.boolean(true)), 'critical'),
      extension(oid.keyUsage, keyUsage.certificateAndRevocationListSigning, 'critical'),
      extension(oid.subjectKeyIdentifier, der.octetString(keyIdentifier))
    ]),
    async issue({ hosts, commonName = hosts[0] ?? 'anonymous', organizations = [] }) {
      const { publicKey, privateKey } = await generate('ec', { namedCurve: 'P-256' })
      return {
        certificate: issueTo(distinguishedName(commonName, organizations), publicKey, [
          extension(oid.basicConstraints, der.sequence(), 'critical'),
          extension(oid.keyUsage, keyUsage.digitalSignature, 'critical'),
          extension(
            oid.extendedKeyUsage,
            der.sequence(der.objectIdentifier(oid.serverAuth), der.objectIdentifier(oid.clientAuth))
          ),
          extension(oid.subjectKeyIdentifier, der.octetString(identifierOf(publicKey))),
          extension(oid.authorityKeyIdentifier, der.sequence(der.implicit(0, keyIdentifier))),
          ...(hosts.length === 0 ? [] : [extension(oid.subjectAltName, der.sequence(...hosts.map(generalName)))])
        ]),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      }
    }
  }
}

const certificate = (of: {
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly signingKey: KeyObject
  readonly extensions: readonly Buffer[]
}): string => {
  const algorithm = der.sequence(der.objectIdentifier(oid.ecdsaWithSha256))
  const version3 = der.explicit(0, der.integer(Buffer.from([2])))
  const now = Date.now()
  const toBeSigned = der.sequence(
    version3,
    der.integer(serialNumber()),
    algorithm,
    of.issuer,
    der.sequence(der.utcTime(new Date(now - hour)), der.utcTime(new Date(now + year))),
    of.subject,
    of.publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...of.extensions))
  )
  return pem(der.sequence(toBeSigned, algorithm, der.bitString(sign('sha256', toBeSigned, of.signingKey))))
}

/** 127 random bits; the first octet is kept above zero because DER forbids leading zeros. */
const serialNumber = (): Buffer => {
  const octets = randomBytes(16)
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40
  return octets
}

const distinguishedName = (commonName: string, organizations: readonly string[]): Buffer => {
  const attribute = (type: string, value: string): Buffer =>
    der.set(der.sequence(der.objectIdentifier(type), der.utf8String(value)))
  return der.sequence(
    ...organizations.map((organization) => attribute(oid.organization, organization)),
    attribute(oid.commonName, commonName)
  )
}

const extension = (type: string, value: Buffer, critical?: 'critical'): Buffer =>
  der.sequence(
    der.objectIdentifier(type),
    ...(critical === undefined ? [] : [der.boolean(true)]),
    der.octetString(value)
  )

const keyUsage = {
  digitalSignature: der.bitString(Buffer.from([0b1000_0000]), 7),
  certificateAndRevocationListSigning: der.bitString(Buffer.from([0b0000_0110]), 1)
} as const

/** The subject key identifier that RFC 5280 proposes: SHA-1 of the bits of the public key (the last 65 octets on P-256). */
const identifierOf = (publicKey: KeyObject): Buffer =>
  createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }).subarray(-65))
    .digest()

const generalName = (host: string): Buffer => {
  switch (isIP(host)) {
    case 4:
      return der.implicit(7, Buffer.from(host.split('.').map(Number)))
    case 6:
      return der.implicit(7, ipv6Octets(host))
    default:
      return der.implicit(2, Buffer.from(host, 'ascii'))
  }
}

const ipv6Octets = (address: string): Buffer => {
  const [before = [], after = []] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''))
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

const pem = (encoding: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${encoding.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`
