import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import type { ApiServer, Evidence } from '../../src/model/api-servers.ts'
import { keyIdHashOf } from '../../src/model/key-id.ts'
import { KMS_OFF } from '../../src/model/kms-profile.ts'
import type { RunReport } from '../../src/model/report.ts'
import { renderSummary } from '../../src/report/summary.ts'
import {
  apiServer,
  cancelledAfterChange,
  cancelledInPass,
  disabled,
  evidence,
  failedOnApiServerBehind,
  failedOnKmsV1,
  keyUse,
  kms,
  NEW_KEY,
  OLD_KEY,
  passesAlone,
  proof,
  reencryptedByKubeconfig,
  report,
  rotated,
  rotatedByPassesAlone,
  rotatedWithOneUnseen,
  snapshot
} from '../fixtures/reports.ts'

const DOCS = 'https://github.com/contoso/kms/blob/v1/docs'
const PERMISSIONS = `[how to permit it](${DOCS}/permissions.md#evidence-per-api-server)`

/** A rotation whose last proof rests on this. */
function resting(on: Partial<Evidence>, more: Partial<RunReport> = {}): RunReport {
  const proofs = [{ ...proof('after-change', 10, 10), evidence: evidence(on) }]
  return report({ before: snapshot(kms(OLD_KEY)), after: snapshot(kms(NEW_KEY)), changed: true, proofs, ...more })
}

/** The summary’s lines on API servers, as [heading, …lines]; a folded section is headed by its title in `<summary>`. */
function section(source: RunReport): readonly string[] {
  const summary = renderSummary(source, { docsUrl: DOCS })
  const open = /#### API servers\n[^]*?(?=\n\n(?:####|<details))/.exec(summary)?.[0]
  const folded = [...summary.matchAll(/<details>\n(<summary>[^]*?)<\/details>/g)]
    .map(([, inside = '']) => inside)
    .find((inside) => /^<summary>.*API server/.test(inside))
  return (open ?? folded ?? '').split('\n').filter((line) => line !== '')
}

function rows(source: RunReport): readonly string[] {
  return section(source).filter((line) => /^\| (✅|❌|⚠️)/.test(line))
}

test('a key version is known by the hash that the API server’s metrics have of it', () => {
  expect(keyIdHashOf(NEW_KEY)).toBe('sha256:f1997d377cd5190956ad16dca91cc0200a2f3dba4b3b7879abba038171249e2d')
  expect(keyIdHashOf(NEW_KEY.replace('contoso', 'CONTOSO'))).toBe(keyIdHashOf(NEW_KEY))
})

describe('where every API server is current', () => {
  test('the section is folded in, below the Secrets, and says what the proof rests on', () => {
    const source = resting({ waitedMs: 187_000 })
    const [title, line] = section(source)
    expect(title).toBe('<summary>All 3 API servers write under the key in use</summary>')
    expect(line).toBe(
      'All 3 API servers were met over 12 new connections, and each of them writes under `contoso-etcd-kv / etcd / 9b1c04…`. The run waited 3 m 7 s for the API servers.'
    )
    const summary = renderSummary(rotated())
    expect(summary).not.toContain('#### API servers')
    expect(summary.indexOf('#### Secrets')).toBeLessThan(summary.indexOf('All 3 API servers'))
    expect(summary.indexOf('All 3 API servers')).toBeLessThan(summary.indexOf('#### Key versions'))
  })

  test('each has a row: its write key, the last use of another, and its start', () => {
    expect(rows(resting({}))).toEqual([
      '| ✅ `1f3a95c7…` current | `9b1c04…` | 03:20:42 | `3f2a91…` read 03:20:41 | 03:18:24 |',
      '| ✅ `3e752b8e…` current | `9b1c04…` | 03:20:43 | `3f2a91…` read 03:20:42 | 03:18:38 |',
      '| ✅ `5dafc155…` current | `9b1c04…` | 03:20:44 | `3f2a91…` read 03:20:43 | 03:18:52 |'
    ])
  })

  test('one that has not had to write yet has no last write', () => {
    const server = apiServer(1, {
      keys: [keyUse(OLD_KEY, { lastWriteAt: '2026-11-21T23:59:59.999Z' }), keyUse(NEW_KEY, { wanted: true })]
    })
    expect(rows(resting({ servers: [server], live: 1 }))).toEqual([
      '| ✅ `1f3a95c7…` current | `9b1c04…` | – | `3f2a91…` written 2026-11-21 23:59 | 03:18:24 |'
    ])
  })

  test('a single one is told as one', () => {
    const [title, line] = section(resting({ servers: [apiServer(1)], live: 1, connections: 1 }))
    expect(title).toBe('<summary>The one API server writes under the key in use</summary>')
    expect(line).toBe(
      'The one API server was met over 1 new connection, and it writes under `contoso-etcd-kv / etcd / 9b1c04…`.'
    )
  })

  test('that there may be more is said where the Leases may not be listed', () => {
    const [title, line] = section(resting({ live: undefined }))
    expect(title).toBe('<summary>All 3 API servers that were met write under the key in use</summary>')
    expect(line).toMatch(/^3 API servers were met over 12 new connections, and each of them writes/)
    expect(line).toContain(
      `Whether there are more is not known: the Leases in \`kube-system\` may not be listed (${PERMISSIONS}).`
    )
  })
})

describe('what is not as it should be is visible', () => {
  test('an API server that is behind, before the others, with the key that it writes under', () => {
    const source = failedOnApiServerBehind()
    const [title, line] = section(source)
    expect(title).toBe('#### API servers')
    expect(line).toBe(
      'All 3 API servers were met over 24 new connections. **1 behind**: not knowing `contoso-etcd-kv / etcd / 9b1c04…` yet, or having just written under another key. The run waited 10 m for the API servers.'
    )
    expect(rows(source)).toEqual([
      '| ❌ `3e752b8e…` **behind** | **`3f2a91…`** | 03:31:02 | – | 2026-10-03 11:42 |',
      '| ✅ `1f3a95c7…` current | `9b1c04…` | 03:20:42 | `3f2a91…` read 03:20:41 | 03:18:24 |',
      '| ✅ `5dafc155…` current | `9b1c04…` | 03:20:44 | `3f2a91…` read 03:20:43 | 03:18:52 |'
    ])
    expect(renderSummary(source)).toContain('**Not proved:** 1 API server did not write under the key yet.')
  })

  test('one that does not know the key yet, under a key that nobody knows', () => {
    const keyIdHash = `sha256:${'0badcafe'.repeat(8)}`
    const server: ApiServer = {
      ...apiServer(1),
      state: 'behind',
      keys: [{ ...keyUse(OLD_KEY, { lastWriteAt: '2026-11-22T03:20:00Z' }), keyIdHash }]
    }
    expect(rows(resting({ servers: [server], live: 1 }))[0]).toContain('| **unknown key `0badcafe…`** | 03:20:00 | – |')
  })

  test('one whose metrics name no key', () => {
    const source = resting({ servers: [apiServer(1), apiServer(2, { state: 'unknown', keys: [] })], live: 2 })
    expect(section(source).slice(0, 2)).toEqual([
      '#### API servers',
      'All 2 API servers were met over 12 new connections. **1 unknown**: no key is named in the metrics.'
    ])
    expect(rows(source)[0]).toBe('| ⚠️ `3e752b8e…` unknown | – | – | – | 03:18:38 |')
  })

  test('one that was not met', () => {
    const source = rotatedWithOneUnseen()
    expect(section(source).slice(0, 2)).toEqual([
      '#### API servers',
      '**2 of 3 API servers** were met over 24 new connections, and each of them writes under `contoso-etcd-kv / etcd / 9b1c04…`. Nothing is known of the other one.'
    ])
    expect(rows(source)).toHaveLength(3)
    expect(rows(source)[0]).toBe('| ⚠️ **1 not met** | – | – | – | – |')
    expect(renderSummary(source)).toContain('**[`api-servers-unseen`](docs/troubleshooting.md#api-servers-unseen)**')
  })

  test('one that writes under a key although KMS is off', () => {
    const server = apiServer(1, { state: 'behind', keys: [keyUse(OLD_KEY, { lastWriteAt: '2026-11-22T03:20:00Z' })] })
    const source = resting({ servers: [server], live: 1 }, { after: snapshot(KMS_OFF) })
    expect(section(source)[1]).toContain('**1 behind**: having just written under a key, although KMS is off.')
    expect(rows(source)[0]).toContain('**`3f2a91…`**')
  })

  test('of many keys those used last are named', () => {
    const keys = ['01', '02', '03', '04', '05'].map((second) => {
      return keyUse(OLD_KEY, { lastReadAt: `2026-11-22T03:20:${second}Z` })
    })
    expect(rows(resting({ servers: [apiServer(1, { keys })] }))[1]).toContain(
      '| `3f2a91…` read 03:20:05<br>`3f2a91…` read 03:20:04<br>`3f2a91…` read 03:20:03<br>and 2 more |'
    )
  })
})

describe('by passes alone', () => {
  const byPasses = (reason: Evidence['reason'], more: Partial<RunReport> = {}): string =>
    section(resting(passesAlone(reason), more))[1] ?? ''

  test('where /metrics may not be read, with what to grant, and how long was waited', () => {
    const [title, line] = section(rotatedByPassesAlone())
    expect(title).toBe('#### API servers')
    expect(line).toMatch(/^\*\*By passes alone:\*\* `\/metrics` may not be read \(403\)/)
    expect(line).toContain('After the passes, Secrets were probed over 12 new connections.')
    expect(line).toContain('By their Leases there are 3 API servers.')
    expect(line).toContain(`grant \`get\` on the non-resource URL \`/metrics\` (${PERMISSIONS}).`)
    expect(line).toMatch(/The run waited 4 m 47 s for the API servers\.$/)
  })

  test('where the metrics are of no use', () => {
    expect(byPasses('unreadable')).toContain('`/metrics` could not be read.')
    expect(byPasses('other-names')).toContain('the keys that `/metrics` names can’t be matched with the cluster’s.')
    expect(byPasses('no-kms')).toContain('no API server names a key of KMS v2 in `/metrics`.')
    expect(byPasses('unreadable')).not.toContain('grant')
    expect(section(resting({ servers: [] }))[1]).toContain(
      '**By passes alone:** `/metrics` does not say which API server it is of, as before Kubernetes 1.29.'
    )
  })

  test('no probe is claimed where the proof did not come so far', () => {
    const last = { ...proof('after-change', 10, 10), proved: false, evidence: passesAlone('forbidden') }
    const [, line] = section(report({ proofs: [last] }))
    expect(line).toMatch(/^\*\*No evidence per API server:\*\* `\/metrics` may not be read/)
    expect(line).not.toContain('probed')
    const empty = { ...proof('no-change', 0, 0), evidence: passesAlone('forbidden') }
    expect(section(report({ proofs: [empty] }))[1]).not.toContain('probed')
  })

  test('an API server is shown with the keys that its metrics name, matched or not', () => {
    const servers = [
      apiServer(1, { state: 'unknown', keys: [keyUse(OLD_KEY, { lastWriteAt: '2026-11-22T03:20:00Z' })] })
    ]
    expect(rows(resting(passesAlone('other-names', { servers, live: 1 })))).toEqual([
      '| ⚠️ `1f3a95c7…` unknown | `3f2a91…` | 03:20:00 | – | 03:18:24 |'
    ])
  })

  test('where Azure knows no cluster: what the API servers agree on', () => {
    const [title, line] = section(reencryptedByKubeconfig())
    expect(title).toBe('<summary>All 3 API servers write under the same key</summary>')
    expect(line).toMatch(
      /^\*\*By passes and agreement:\*\* all 3 API servers that answered last wrote under the key `[0-9a-f]{8}…` of `\/metrics`\./
    )
    expect(line).toContain('Secrets were probed over 12 new connections.')
    expect(section(reencryptedByKubeconfig())).toContainEqual(
      expect.stringMatching(/^\| `1f3a95c7…` \| `[0-9a-f]{8}…` \| 03:20:42 \| /)
    )
  })

  test('where Azure knows no cluster, and they don’t agree, or not all were met', () => {
    const { proofs, ...rest } = reencryptedByKubeconfig()
    const [last] = proofs
    if (last === undefined) throw new Error('no proof')
    const other = apiServer(3, { state: 'unknown', keys: [keyUse(OLD_KEY, { lastWriteAt: '2026-11-22T03:20:00Z' })] })
    const silent = apiServer(3, { state: 'unknown', keys: [] })
    const { servers } = last.evidence
    for (const evidence of [
      { ...last.evidence, servers: [...servers.slice(0, 2), other] },
      { ...last.evidence, servers: [...servers.slice(0, 2), silent] },
      { ...last.evidence, live: 4 }
    ]) {
      const [title, line] = section({ ...rest, proofs: [{ ...last, evidence }] })
      expect(title).toBe('#### API servers')
      expect(line).toMatch(/^\*\*By passes alone:\*\* `\/metrics` names keys, but not that each API server has written/)
    }
  })

  test('with keys in local files', () => {
    const { proofs, ...rest } = reencryptedByKubeconfig()
    const [last] = proofs
    if (last === undefined) throw new Error('no proof')
    const [, line] = section({ ...rest, proofs: [{ ...last, evidence: passesAlone('no-kms') }] })
    expect(line).toMatch(/^\*\*By passes alone:\*\* `\/metrics` names no key, as with keys in local files \(aescbc,/)
  })

  test('under KMS v1, which names no key', () => {
    expect(section(failedOnKmsV1())[1]).toContain('the cluster runs KMS v1, which names no key in `/metrics`')
    const before = snapshot(kms(OLD_KEY), { kubernetesVersion: '1.26.12' })
    const source = report({
      before,
      after: snapshot(kms(NEW_KEY)),
      proofs: [{ ...proof('before-change', 1, 0), evidence: passesAlone('no-kms') }]
    })
    expect(section(source)[1]).toContain('KMS v1')
  })

  test('is folded in where KMS is off: no API server could name a key', () => {
    const [title, line] = section(disabled())
    expect(title).toBe('<summary>No API server writes under a key: KMS is off</summary>')
    expect(line).toContain('KMS is off, so the API servers name no key in `/metrics`.')
  })
})

test('a proof without a look, or from before the change, tells nothing of the API servers', () => {
  for (const source of [cancelledInPass(), cancelledAfterChange(), report()]) expect(section(source)).toEqual([])
})

test('many API servers do not make the summary long', () => {
  const servers = Array.from({ length: 300 }, (_, i) => apiServer(i + 1))
  const source = resting({ servers, live: 300 })
  expect(rows(source)).toHaveLength(100)
  expect(section(source).join('\n')).toContain('… and 200 more in the JSON report')
})

test('the way to permit it is in the documentation', () => {
  const headings = readFileSync('docs/permissions.md', 'utf8').match(/^#+ .*$/gm) ?? []
  expect(headings.map((heading) => heading.replace(/^#+ /, '').toLowerCase().replaceAll(' ', '-'))).toContain(
    'evidence-per-api-server'
  )
})
