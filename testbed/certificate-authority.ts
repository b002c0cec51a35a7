import { createHash, generateKeyPair, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'

import type { CertificateAuthority } from './contract.ts'
import * as der from './der.ts'

const HOUR = 3_600_000
const YEAR = 365 * 24 * HOUR

const OID = {
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
}

const KEY_USAGE = {
  digitalSignature: der.bitString(Buffer.from([0b1000_0000]), 7),
  signingOfCertificatesAndRevocationLists: der.bitString(Buffer.from([0b0000_0110]), 1)
}

const generate = promisify(generateKeyPair)

/** A new authority with an EC P-256 key. Whatever it issues serves the hosts named and also identifies a client. */
export async function createCertificateAuthority(): Promise<CertificateAuthority> {
  const authority = await generate('ec', { namedCurve: 'P-256' })
  const name = distinguishedName('AKS test bed', [])
  const keyIdentifier = identifierOf(authority.publicKey)

  function issueTo(subject: Buffer, publicKey: KeyObject, extensions: readonly Buffer[]): string {
    return signedCertificate({ issuer: name, subject, publicKey, signingKey: authority.privateKey, extensions })
  }

  return {
    certificate: issueTo(name, authority.publicKey, [
      extension(OID.basicConstraints, der.sequence(der.boolean(true)), 'critical'),
      extension(OID.keyUsage, KEY_USAGE.signingOfCertificatesAndRevocationLists, 'critical'),
      extension(OID.subjectKeyIdentifier, der.octetString(keyIdentifier))
    ]),
    async issue({ hosts, commonName = hosts[0] ?? 'anonymous', organizations = [] }) {
      const { publicKey, privateKey } = await generate('ec', { namedCurve: 'P-256' })
      const purposes = der.sequence(der.objectIdentifier(OID.serverAuth), der.objectIdentifier(OID.clientAuth))
      return {
        certificate: issueTo(distinguishedName(commonName, organizations), publicKey, [
          extension(OID.basicConstraints, der.sequence(), 'critical'),
          extension(OID.keyUsage, KEY_USAGE.digitalSignature, 'critical'),
          extension(OID.extendedKeyUsage, purposes),
          extension(OID.subjectKeyIdentifier, der.octetString(identifierOf(publicKey))),
          extension(OID.authorityKeyIdentifier, der.sequence(der.implicit(0, keyIdentifier))),
          ...(hosts.length === 0 ? [] : [extension(OID.subjectAltName, der.sequence(...hosts.map(generalName)))])
        ]),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      }
    }
  }
}

function signedCertificate(of: {
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly signingKey: KeyObject
  readonly extensions: readonly Buffer[]
}): string {
  const version3 = der.explicit(0, der.integer(Buffer.from([2])))
  const algorithm = der.sequence(der.objectIdentifier(OID.ecdsaWithSha256))
  const now = Date.now()
  const toBeSigned = der.sequence(
    version3,
    der.integer(serialNumber()),
    algorithm,
    of.issuer,
    der.sequence(der.utcTime(new Date(now - HOUR)), der.utcTime(new Date(now + YEAR))),
    of.subject,
    spki(of.publicKey),
    der.explicit(3, der.sequence(...of.extensions))
  )
  return pem(der.sequence(toBeSigned, algorithm, der.bitString(sign('sha256', toBeSigned, of.signingKey))))
}

/** 126 random bits: the first octet stays between 0x40 and 0x7f because DER knows neither leading zeros nor unsigned numbers. */
function serialNumber(): Buffer {
  const octets = randomBytes(16)
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40
  return octets
}

function distinguishedName(commonName: string, organizations: readonly string[]): Buffer {
  return der.sequence(
    ...organizations.map((organization) => nameAttribute(OID.organization, organization)),
    nameAttribute(OID.commonName, commonName)
  )
}

function nameAttribute(type: string, value: string): Buffer {
  return der.set(der.sequence(der.objectIdentifier(type), der.utf8String(value)))
}

function extension(type: string, value: Buffer, critical?: 'critical'): Buffer {
  const criticality = critical === undefined ? [] : [der.boolean(true)]
  return der.sequence(der.objectIdentifier(type), ...criticality, der.octetString(value))
}

/** RFC 5280's first proposal: SHA-1 of the bits of the public key, which are the last 65 octets of a P-256 key. */
function identifierOf(publicKey: KeyObject): Buffer {
  return createHash('sha1').update(spki(publicKey).subarray(-65)).digest()
}

function spki(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' })
}

function generalName(host: string): Buffer {
  switch (isIP(host)) {
    case 4:
      return der.implicit(7, Buffer.from(host.split('.').map(Number)))
    case 6:
      return der.implicit(7, ipv6Octets(host))
    default:
      return der.implicit(2, Buffer.from(host, 'ascii'))
  }
}

function ipv6Octets(address: string): Buffer {
  const [before = [], after = []] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''))
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  const groups = [...before, ...zeros, ...after]
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function pem(encoding: Buffer): string {
  const lines = encoding.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
