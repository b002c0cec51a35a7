import type { ApiServerState, Evidence } from '../../model/api-servers.ts'
import { keyIdHashOf } from '../../model/key-id.ts'
import { keyIdOf, type KmsProfile } from '../../model/kms-profile.ts'
import { FIRST_KMS_V2_MINOR, minor } from '../../model/kubernetes-version.ts'
import type { RunReport } from '../../model/report.ts'
import { bold, code, details, link } from '../markdown.ts'
import { formatDuration, formatNumber, permissionsUrl, plural, shortHash } from '../text.ts'
import { apiServersTable, lastWritten } from './api-servers-table.ts'
import { blocks, keyCode, type Section, type SectionContext } from './section.ts'

/** What each API server writes under, by the last look of the last proof; folded in where all is as it should be. */
export const apiServersSection: Section = (report, context) => {
  const proof = report.proofs.at(-1)
  // A proof that was broken off may have had no look, and one from before the change tells nothing of the cluster as it is now.
  if (proof === undefined || proof.evidence.connections === 0) return ''
  if (proof.when === 'before-change' && report.changed) return ''
  const { before, after } = report
  const snapshot = proof.when === 'before-change' ? (before ?? after) : (after ?? before)
  const look: Look = {
    evidence: proof.evidence,
    proved: proof.proved,
    probed: proof.proved && proof.counts.total > 0,
    kms: snapshot?.kms,
    unknownKey: snapshot === undefined || snapshot.dataEncryption !== undefined,
    kubernetesVersion: snapshot?.kubernetesVersion
  }
  const table = apiServersTable(look.evidence.servers, unmet(look.evidence), {
    keyIds: knownKeys(report),
    startedAt: report.startedAt,
    unknownKey: look.unknownKey,
    most: context.limits.rows
  })
  const body = blocks(sentences(look, context), table)
  return isQuiet(look) ? details(quietTitle(look), body) : blocks('#### API servers', body)
}

interface Look {
  readonly evidence: Evidence
  readonly proved: boolean
  /** Whether Secrets were patched over its connections: no proof ends well without. */
  readonly probed: boolean
  /** The profile that was proved. */
  readonly kms: KmsProfile | undefined
  /** Which key it should be is known to nobody but the API servers. */
  readonly unknownKey: boolean
  readonly kubernetesVersion: string | undefined
}

/** Key versions by the hash that metrics have of them. */
function knownKeys({ before, after, keys }: RunReport): ReadonlyMap<string, string> {
  const profiles = [before, after].flatMap((snapshot) => (snapshot && keyIdOf(snapshot.kms)) ?? [])
  return new Map([...profiles, ...keys.map(({ keyId }) => keyId)].map((keyId) => [keyIdHashOf(keyId), keyId]))
}

function isQuiet({ evidence, kms, unknownKey }: Look): boolean {
  if (unknownKey) return agreedKey(evidence) !== undefined && unmet(evidence) === 0
  if (!tells(evidence)) return evidence.reason === 'no-kms' && kms?.enabled === false
  return unmet(evidence) === 0 && evidence.servers.every(({ state }) => state === 'current')
}

function quietTitle({ evidence, kms, unknownKey }: Look): string {
  if (!unknownKey && kms?.enabled === false) return 'No API server writes under a key: KMS is off'
  const met = evidence.servers.length
  const qualified = evidence.live === undefined ? ` that ${met === 1 ? 'was' : 'were'} met` : ''
  const who =
    met === 1 ? `The one API server${qualified} writes` : `All ${formatNumber(met)} API servers${qualified} write`
  return `${who} under ${unknownKey ? 'the same key' : 'the key in use'}`
}

/** `key_id_hash` of the key that all API servers that were met last wrote under; undefined where they don’t agree, or don’t say. */
function agreedKey({ servers }: Evidence): string | undefined {
  const [first, ...others] = servers.map(({ keys }) => lastWritten(keys)?.keyIdHash)
  return others.every((hash) => hash === first) ? first : undefined
}

/** Before Kubernetes 1.29 metrics name keys, but not the API server. */
function tells({ basis, servers }: Evidence): boolean {
  return basis === 'metrics' && servers.length > 0
}

/** API servers of the cluster that the look did not meet, as far as that is known. */
function unmet({ servers, live }: Evidence): number {
  return Math.max((live ?? 0) - servers.length, 0)
}

function sentences(look: Look, context: SectionContext): string {
  const { waitedMs } = look.evidence
  const told = tells(look.evidence) ? byMetrics(look, context) : byPasses(look, context)
  if (waitedMs > 0) told.push(`The run waited ${formatDuration(waitedMs)} for the API servers.`)
  return told.join(' ')
}

function byMetrics(look: Look, { docsUrl }: SectionContext): string[] {
  const { evidence, kms } = look
  const { servers, live, connections } = evidence
  const [met, missing] = [servers.length, unmet(evidence)]
  const inState = (state: ApiServerState): number => servers.filter((server) => server.state === state).length
  const [behind, unknown] = [inState('behind'), inState('unknown')]
  const keyId = kms && keyIdOf(kms)
  const key = keyId === undefined ? undefined : keyCode(keyId)

  const said = [`${who()} over ${plural(connections, 'new connection')}${behind + unknown === 0 ? writing() : ''}.`]
  if (behind > 0) {
    const unaware = key === undefined ? '' : `not knowing ${key} yet, or `
    const another = key === undefined ? 'a key, although KMS is off' : 'another key'
    said.push(`${bold(`${formatNumber(behind)} behind`)}: ${unaware}having just written under ${another}.`)
  }
  if (unknown > 0) said.push(`${bold(`${formatNumber(unknown)} unknown`)}: no key is named in the metrics.`)
  if (missing > 0) said.push(`Nothing is known of the other ${missing === 1 ? 'one' : formatNumber(missing)}.`)
  if (live === undefined) {
    const listing = `the Leases in ${code('kube-system')} may not be listed`
    said.push(`Whether there are more is not known: ${listing} (${permissions(docsUrl)}).`)
  }
  return said

  function who(): string {
    const were = met === 1 ? 'was' : 'were'
    if (missing > 0) return `${bold(`${formatNumber(met)} of ${plural(met + missing, 'API server')}`)} ${were} met`
    if (live === undefined) return `${plural(met, 'API server')} ${were} met`
    return met === 1 ? 'The one API server was met' : `All ${formatNumber(met)} API servers were met`
  }

  function writing(): string {
    return `, and ${met === 1 ? 'it writes' : 'each of them writes'} under ${key ?? 'no key'}`
  }
}

function byPasses(look: Look, { docsUrl }: SectionContext): string[] {
  const { evidence, proved, probed, kms, unknownKey, kubernetesVersion } = look
  const { reason, servers, live, connections } = evidence
  const metrics = code('/metrics')
  const agreed = unknownKey && unmet(evidence) === 0 ? agreedKey(evidence) : undefined
  const basis = agreed === undefined ? 'By passes alone:' : 'By passes and agreement:'
  const said = [`${bold(proved ? basis : 'No evidence per API server:')} ${why()}`]
  if (probed) said.push(`After the passes, Secrets were probed over ${plural(connections, 'new connection')}.`)
  if (live !== undefined) said.push(`By their Leases there ${live === 1 ? 'is' : 'are'} ${plural(live, 'API server')}.`)
  if (reason === 'forbidden') {
    said.push(
      `To have evidence per API server, grant ${code('get')} on the non-resource URL ${metrics} (${permissions(docsUrl)}).`
    )
  }
  return said

  function why(): string {
    switch (reason) {
      case 'forbidden':
        return `${metrics} may not be read (403), so no API server could be asked which key it uses.`
      case 'other-names':
        if (agreed !== undefined) {
          const who = servers.length === 1 ? 'the API server' : `all ${formatNumber(servers.length)} API servers`
          return `${who} that answered last wrote under the key ${code(shortHash(agreed))} of ${metrics}.`
        }
        if (unknownKey) return `${metrics} names keys, but not that each API server has written under the same one.`
        return `the keys that ${metrics} names can’t be matched with the cluster’s.`
      case 'no-kms':
        if (unknownKey) {
          return `${metrics} names no key, as with keys in local files (aescbc, aesgcm, secretbox), with KMS v1, and with none.`
        }
        if (kms?.enabled === false) return `KMS is off, so the API servers name no key in ${metrics}.`
        return kubernetesVersion !== undefined && minor(kubernetesVersion) < FIRST_KMS_V2_MINOR
          ? `the cluster runs KMS v1, which names no key in ${metrics}; KMS v2 does.`
          : `no API server names a key of KMS v2 in ${metrics}.`
      case 'unreadable':
        return `${metrics} could not be read.`
      case undefined:
        return `${metrics} does not say which API server it is of, as before Kubernetes 1.29.`
    }
  }
}

function permissions(docsUrl: string): string {
  return link('how to permit it', permissionsUrl(docsUrl))
}
