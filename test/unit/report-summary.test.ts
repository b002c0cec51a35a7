import { describe, expect, test } from '@jest/globals'
import { Marked } from 'marked'
import { finding } from '../../src/model/finding.ts'
import { KMS_OFF } from '../../src/model/kms-profile.ts'
import type { ProofReport, RunReport } from '../../src/model/report.ts'
import { fitSummary, renderSummary } from '../../src/report/summary.ts'
import {
  basis,
  cancelledAfterChange,
  cancelledInPass,
  counts,
  enabledOnLargeCluster,
  failedOnKmsV1,
  failedOnSecrets,
  failedToSignIn,
  kms,
  migratedToV2,
  namespaces,
  NEW_KEY,
  notDue,
  OLD_KEY,
  pass,
  plannedPreparation,
  plannedRefusal,
  plannedRotation,
  preparedFromNothing,
  preparedWithDifferences,
  prepareStopped,
  proof,
  refusedForExpiredKey,
  refusedForKey,
  retired,
  report,
  rotated,
  SAMPLES,
  snapshot
} from '../fixtures/reports.ts'
import { largeFleet, mixedFleet, seenCluster, STATUS_SAMPLES, statusReport } from '../fixtures/statuses.ts'

const DOCS = 'https://github.com/contoso/kms/blob/v1/docs'

test.each(Object.entries({ ...SAMPLES, ...STATUS_SAMPLES }))(
  '%s begins with its verdict and is well-formed',
  (_, sample) => {
    const source = sample()
    const summary = renderSummary(source)
    expect(summary).toMatch(/^### (✅|📝|⛔|❌|⏹️|⚠️) /)
    expect(summary.split('\n')[2]).toMatch(
      new RegExp(`^\`${source.operation}\`.* · ${source.result} · 2026-11-22 03:17 UTC · `)
    )
    expect(summary).not.toMatch(/undefined|NaN|\[object|\n\n\n|\*{4}/)
    const rendered = new Marked({ gfm: true }).parse(summary, { async: false })
    expect(rendered).not.toMatch(/\|/)
    expect(rendered.match(/<details/g)?.length).toBe(rendered.match(/<\/details>/g)?.length)
  }
)

test('a rotation shows what changed, the proofs, and every key version with its whole url once', () => {
  const summary = renderSummary(rotated(), { docsUrl: DOCS })
  expect(summary).toContain(
    '> [!WARNING]\n> **[`record-forbidden`](https://github.com/contoso/kms/blob/v1/docs/troubleshooting.md#record-forbidden)**'
  )
  expect(summary).toContain(
    '| ● **`azureKeyVaultKms.keyId`** | `contoso-etcd-kv / etcd / 3f2a91…` | **`contoso-etcd-kv / etcd / 9b1c04…`** |'
  )
  expect(summary).toContain('| `azureKeyVaultKms.enabled` | `true` | `true` |')
  expect(summary.indexOf('azureKeyVaultKms.enabled')).toBeLessThan(summary.indexOf('imageCleaner.enabled'))
  expect(summary).toContain('**All 2,000 Secrets** are proved under `contoso-etcd-kv / etcd / 9b1c04…`.')
  expect(summary).toContain('| ✅ Before the change | 2,000 | 0 | 2,000 | 1 | 1.3\u00a0s |')
  expect(summary).toContain('| ✅ After the change | 2,000 | 2,000 | 0 | 2 | 6.6\u00a0s |')
  expect(summary).toContain('| **In total** |  | **2,000** | **2,000** | **3** | **7.9\u00a0s** |')
  expect(summary).toContain('- **Must be kept** `contoso-etcd-kv / etcd / 3f2a91…`: AKS keeps it as the previous key')
  for (const keyId of [OLD_KEY, NEW_KEY]) expect(summary.split(keyId)).toHaveLength(2)
  expect(summary).not.toContain('Gone')
  expect(summary).toContain('<summary>4 other properties, unchanged</summary>')
  expect(summary).toContain('<summary>3 passes, 7.9 s</summary>')
  expect(summary).not.toContain('Kubernetes version | `1.31.7` |')
})

test('a run that is not due takes a few lines', () => {
  const summary = renderSummary(notDue())
  expect(summary).not.toMatch(/#### (Cluster|Secrets|Namespaces)|\[!/)
  expect(summary).toContain('- **In use** `contoso-etcd-kv / etcd / 9b1c04…`<br>')
  const unfolded = summary.replace(/<details>[^]*?<\/details>/g, '')
  expect(unfolded.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(5)
})

test('the next rotation, and that one is or had been overdue, is said in one line', () => {
  expect(renderSummary(notDue())).toContain('\n\n**Next rotation** due on 2027-01-14 08:12 UTC.\n\n')
  expect(renderSummary(retired())).toContain(
    '\n\n**Next rotation** due on 2027-02-20 03:17 UTC. This one had been due since 2026-11-14 08:12 UTC.\n\n'
  )
  expect(renderSummary(refusedForExpiredKey())).toContain('**Rotation overdue** since 2026-11-14 08:12 UTC.\n\n')
  expect(renderSummary(rotated())).not.toMatch(/Next rotation|overdue/)
})

test('a failure says what is wrong, what is left, which keys must stay and how to go on', () => {
  const summary = renderSummary(failedOnSecrets())
  const box = /> \[!CAUTION\]\n(?:>.*\n)+/.exec(summary)?.[0] ?? ''
  expect(box).toContain('> **[`secrets-failed`](docs/troubleshooting.md#secrets-failed)** 60 of 2,000 Secrets could')
  expect(box).toContain('**Fix:** Mend the Secrets')
  expect(box).toContain(
    '**State:** the cluster was changed, but **60 of 2,000 Secrets are not proved** under the present profile, and may still be under `contoso-etcd-kv / etcd / 3f2a91…`: it must stay enabled and unexpired.'
  )
  expect(box).toContain(
    '**Keep enabled and unexpired** until a run is green: `contoso-etcd-kv / etcd / 9b1c04…`, `contoso-etcd-kv / etcd / 3f2a91…`'
  )
  expect(box).toContain(
    '(`operation: rotate`, `cluster-name: prod-westeurope`, `resource-group: rg-prod-weu`): it goes on'
  )
  expect(summary).toContain('| ❌ After the change | 2,000 | 1,940 | 0 | **57** | **3** | 2 | 11\u00a0s |')
  expect(summary).toContain('<details open>\n<summary>4 steps, 4 m 24 s</summary>')
})

test('failures are split into those for good and those after retries, fifty named and the rest counted', () => {
  const summary = renderSummary(failedOnSecrets())
  const section = summary.slice(summary.indexOf('#### Failed Secrets'), summary.indexOf('#### Cluster'))
  expect(section).toMatch(
    /\*\*57 for good\*\*: trying again can’t help[^]*\| \*\*57 Secrets\*\*<br>`payments\/psp-credentials-00`.*resource Secret\/payments\/… was blocked.*<br>\*\*Fix:\*\* A policy forbids/
  )
  expect(section).toMatch(
    /57 for good[^]*\*\*3 after retries\*\*: running it again[^]*\| \*\*3 Secrets\*\*<br>.*\*\*504\*\* Timeout: request did not complete within requested timeout \|\n/
  )
  expect(section.match(/`(payments|checkout)\//g)).toHaveLength(28)
  expect(section).toContain('… and 32 more in the JSON report')
})

test('what has to be mended comes before what may pass, however frequent that is', () => {
  const busy = {
    namespace: 'ns',
    name: 'busy',
    permanence: 'transient',
    status: 429,
    reason: 'Too many requests'
  } as const
  const broken = {
    namespace: 'ns',
    name: 'broken',
    permanence: 'permanent',
    status: 0,
    reason: 'connection reset'
  } as const
  const failures = [busy, { ...busy, name: 'busy-too' }, broken]
  const failed = {
    ...proof('no-change', 3, 0),
    proved: false,
    counts: counts(3, { failed: 3, failedForGood: 1 }),
    failures
  }
  const summary = renderSummary(report({ result: 'failed', proofs: [failed] }))
  expect(summary).toMatch(
    /\*\*1 for good\*\*[^]*\| `ns\/broken` \| connection reset<br>\*\*Fix:\*\* Mend what the API server says\. \|\n\n\*\*2 after retries\*\*[^]*\| \*\*2 Secrets\*\*<br>`ns\/busy`/
  )
  expect(summary).toMatch(/\| Proof .*\| Failed for good \| Failed after retries \|/)
})

test('failures of different reasons have a row each, with the whole reason', () => {
  const failures = Array.from({ length: 60 }, (_, i) => {
    return {
      namespace: 'ns',
      name: `s${String(i)}`,
      permanence: 'permanent',
      status: 422,
      reason: `reason ${String(i)} of s${String(i)}`
    } as const
  })
  const failed = { ...proof('no-change', 60, 0), proved: false, counts: counts(1_100, { failed: 1_100 }), failures }
  const summary = renderSummary(report({ result: 'failed', proofs: [failed] }))
  expect(summary).toContain('| `ns/s7` | **422** reason 7 of s7<br>')
  expect(summary.match(/\| `ns\//g)).toHaveLength(50)
  expect(summary).toContain('… and 10 more in the JSON report')
  expect(summary).toContain('1,040 further Secrets failed and were only counted.')
})

test('a refusal shows every reason and puts no key at risk', () => {
  const summary = renderSummary(refusedForKey())
  expect(summary).toContain('#key-lacks-operations')
  expect(summary).toContain('#key-expired')
  expect(summary).toContain('this run changed neither the KMS profile nor the Kubernetes version')
  expect(summary).not.toMatch(/Keep enabled|To go on/)
})

test('a cancelled run says what Azure is doing', () => {
  const summary = renderSummary(cancelledAfterChange())
  expect(summary).toContain('> [!CAUTION]')
  expect(summary).toContain('**the Secrets are not proved** under the present profile, and may still be under')
  expect(summary).toContain('Azure shows it as `Updating`.')
  expect(summary).toContain('**Not proved** since the change.')
  expect(renderSummary({ ...cancelledAfterChange(), changed: false })).toContain('> [!WARNING]')
})

test('a pass that was broken off is marked, and its counts are so far', () => {
  const summary = renderSummary(cancelledInPass())
  expect(summary).toContain('**Not proved:** pass 1 was broken off after 1,240 Secrets.')
  expect(summary).toContain('| ⏹️ After the change, so far | 1,240 | 1,240 | 0 | 1 | 2.7\u00a0s |')
  expect(summary).toContain('| After the change, pass 1 ⏹️ broken off, so far | 1,240 | 1,240 | 0 | 2.7\u00a0s |')
  expect(summary).toContain('| Before the change, pass 1 | 2,000 |')
  expect(summary).toContain('#### Namespaces after the change, so far')
  expect(renderSummary(rotated())).not.toContain('so far')
})

test.each([
  [403, 'Forbidden: admission webhook "x" denied the request: no', 'A policy forbids to update it'],
  [422, 'Invalid: data FieldValueRequired', 'It no longer passes validation'],
  [500, 'InternalError: Internal error occurred: failed calling webhook "x": refused', 'Mend the webhook'],
  [500, 'InternalError: unable to transform key "/registry/secrets/a/b": no', 'It can’t be decrypted'],
  [500, 'etcdserver: request is too large', 'Make the Secret smaller'],
  [413, 'RequestEntityTooLarge', 'Make the Secret smaller'],
  [400, 'BadRequest', 'Mend what the API server says.']
])('a failure for good with status %i comes with its fix: %s', (status, reason, fix) => {
  const failures = [{ namespace: 'ns', name: 's', permanence: 'permanent', status, reason } as const]
  const summary = renderSummary(report({ proofs: [{ ...proof('no-change', 1, 0), proved: false, failures }] }))
  expect(summary).toContain(`<br>**Fix:** ${fix}`)
})

test('where Secrets may be that are not proved', () => {
  const state = (more: Partial<RunReport>): string =>
    /\*\*State:\*\* .*/.exec(renderSummary({ ...failedOnSecrets(), ...more }))?.[0] ?? ''
  expect(state({ before: snapshot(KMS_OFF) })).toContain(
    'under the present profile, and may still be in etcd without encryption.'
  )
  expect(state({ after: snapshot(KMS_OFF) })).toContain(
    'may still be under `contoso-etcd-kv / etcd / 3f2a91…`: it must stay'
  )
  expect(state({ before: snapshot(kms(NEW_KEY)), changed: false })).toContain(
    'this run changed neither the KMS profile nor the Kubernetes version. But **60 of 2,000 Secrets are not proved** under the present profile, and may still be under an older key: every one that the cluster has used must stay.'
  )
  expect(state({ proofs: [], changed: false })).toMatch(/nor the Kubernetes version\.$/)
  const [before, after] = failedOnSecrets().proofs
  if (before === undefined || after === undefined) throw new Error('A rotation has two proofs.')
  const brokenOff = { ...after, passes: after.passes.map((some) => ({ ...some, complete: false })) }
  expect(state({ proofs: [before, brokenOff] })).toContain('**the Secrets are not proved**')
  const failedBefore = { ...after, when: 'before-change' } as const
  expect(state({ proofs: [failedBefore], changed: false })).toContain('But **60 of 2,000 Secrets are not proved**')
  expect(state({ proofs: [failedBefore] })).toContain('**the Secrets are not proved**')
})

test('what the proof stopped at is told with the Secrets', () => {
  const told = (more: Partial<ProofReport>): string => {
    const proofs = [{ ...proof('after-change', 10, 10), proved: false, ...more }]
    return /\*\*Not proved:\*\* .*/.exec(renderSummary(report({ proofs })))?.[0] ?? ''
  }
  const stale = counts(10, { reEncrypted: 4 })
  expect(told({ passes: [pass(stale, 1)] })).toBe('**Not proved:** the last pass still found 4 stale Secrets.')
  expect(told({ counts: counts(10), passes: [pass(counts(10), 1)] })).toBe(
    '**Not proved:** no Secret was found stale after the change.'
  )
  const failing = counts(7, { failed: 2 })
  expect(told({ counts: failing, passes: [pass(stale, 1), pass(failing, 1, false)] })).toBe(
    '**Not proved:** pass 2 was broken off after 7 Secrets.'
  )
  expect(told({ counts: failing, passes: [pass(failing, 1)] })).toBe('')
  expect(told({})).toBe('**Not proved:** the API servers had not settled.')
})

test('where the same operation would end the same way, nothing says to run it again', () => {
  const box = /> \[!CAUTION\]\n(?:>.*\n)+/.exec(renderSummary(failedOnKmsV1()))?.[0] ?? ''
  expect(box).toContain('**Fix:** Run `migrate-v2`, or `disable` and then `enable`')
  expect(box).toContain('**Keep enabled and unexpired** until a run is green')
  expect(box).not.toContain('To go on')
})

test('without advice the keys that were seen are to be kept', () => {
  const summary = renderSummary({ ...failedOnSecrets(), keys: [] })
  expect(summary).toContain(
    'until a run is green: `contoso-etcd-kv / etcd / 9b1c04…`, `contoso-etcd-kv / etcd / 3f2a91…`'
  )
  for (const keyId of [OLD_KEY, NEW_KEY]) expect(summary.split(keyId)).toHaveLength(2)
})

test('a key version that may be retired is none to keep', () => {
  const keys = [{ keyId: OLD_KEY, state: 'may-be-retired', sentence: 'Free.' }] as const
  const summary = renderSummary(report({ result: 'failed', changed: true, keys, before: snapshot(kms(OLD_KEY)) }))
  expect(summary).not.toContain('Keep enabled')
})

test('a failure before the cluster was seen shows the message line by line', () => {
  const summary = renderSummary(failedToSignIn())
  expect(summary).toContain('<br>Subject: `repo:contoso/platform:environment:production`<br>')
  expect(summary).not.toContain('goes on where')
})

test('a plan is numbered, with its hash, and claims nothing', () => {
  const summary = renderSummary(plannedRotation())
  expect(summary).toMatch(/^### 📝 Dry run: 5 steps to take\. Nothing was changed\.\n/)
  expect(summary).toContain(
    '1. Make a new version of the key `https://contoso-etcd-kv.vault.azure.net/keys/etcd`\n2. Keep the goal'
  )
  expect(summary).toContain('**In the end:** The key is rotated')
  expect(summary).toContain('`5d41b0f6c9e28a7d3b61f0e4a9c85d72e1f3046b8a97c2d5e6f1a0b3c4d5e6f7`')
})

test('a plan without a step has its end in the verdict', () => {
  const plan = {
    steps: [],
    sentence: 'Not due until 2027-01-14.',
    refused: false,
    hash: 'a'.repeat(64),
    basis: basis('rotate')
  }
  const summary = renderSummary({ ...plannedRotation(), plan })
  expect(summary).toMatch(/^### 📝 Dry run: Not due until 2027-01-14\.\n/)
  expect(summary).not.toContain('In the end')
})

test('a plan that ends refused looks like it', () => {
  const summary = renderSummary(plannedRefusal())
  expect(summary).toMatch(/^### ⛔ Dry run: refused after 2 steps\./)
  expect(summary).toContain('> [!CAUTION]\n> **Refused then:** From 1.25.15')
  expect(summary).not.toContain('To carry it out')
})

test('the verdict is the title of the error’s code where the sentence would be its message', () => {
  expect(renderSummary(failedOnSecrets())).toMatch(/^### ❌ Some Secrets could not be re-encrypted\.\n/)
  expect(renderSummary({ ...failedOnSecrets(), sentence: 'Sixty failed.' })).toMatch(/^### ❌ Sixty failed\.\n/)
})

test('a plan that was carried out is not shown again', () => {
  expect(renderSummary({ ...rotated(), plan: plannedRotation().plan })).not.toContain('#### Plan')
})

test('the KMS profile comes first, whatever else changed', () => {
  const after = snapshot(kms(NEW_KEY))
  const securityProfile = {
    ...after.securityProfile,
    imageCleaner: { enabled: false },
    customCATrustCertificates: ['AAAA', 'BBBB']
  }
  const summary = renderSummary(report({ before: snapshot(kms(OLD_KEY)), after: { ...after, securityProfile } }))
  expect(summary).toContain('| ● **`customCATrustCertificates`** | – | **`["AAAA","BBBB"]`** |')
  expect(summary.indexOf('azureKeyVaultKms')).toBeLessThan(summary.indexOf('imageCleaner.enabled'))
  expect(summary).toContain('| ● **`imageCleaner.intervalHours`** | `48` | **–** |')
})

test('a migration shows the Kubernetes version and numbers its changes', () => {
  const summary = renderSummary(migratedToV2())
  expect(summary).toContain('| ● **`Kubernetes version`** | `1.25.15` | **`1.27.9`** |')
  expect(summary).toContain('✅ After change 2 | 815 |')
  expect(summary).toContain('pass 2 |')
})

test('switching off says that no key is in use', () => {
  const summary = renderSummary(
    report({
      before: snapshot(kms(OLD_KEY)),
      after: snapshot(KMS_OFF),
      changed: true,
      proved: true,
      proofs: [proof('after-change', 1, 1, 1)]
    })
  )
  expect(summary).toContain('**The one Secret** is proved under no key: KMS is off.')
  expect(summary).toContain('| ● **`azureKeyVaultKms.keyId`** | `contoso-etcd-kv / etcd / 3f2a91…` | **–** |')
})

test('another spelling of the same id is no change', () => {
  const after = snapshot(kms(OLD_KEY.toUpperCase().replace('HTTPS', 'https')))
  expect(renderSummary(report({ before: snapshot(kms(OLD_KEY)), after }))).not.toContain('●')
})

test('ten namespaces are visible, two hundred are shown, the rest is counted', () => {
  const summary = renderSummary(enabledOnLargeCluster())
  const [visible = '', folded = ''] = summary.slice(summary.indexOf('#### Namespaces')).split('<details>')
  expect(visible.match(/^\| `/gm)).toHaveLength(10)
  expect(folded.match(/^\| `/gm)).toHaveLength(190)
  expect(folded).toContain('<summary>290 smaller namespaces</summary>')
  expect(folded).toContain('… and 100 more in the JSON report')
})

test('namespaces in which nothing happened are folded in', () => {
  const summary = renderSummary(report({ proved: true, proofs: [proof('no-change', 100, 0, 12)] }))
  expect(summary).toContain('<summary>Without a change: 12 namespaces</summary>')
  expect(summary).not.toContain('#### Namespaces')
})

test('what comes from outside is no Markdown', () => {
  const summary = renderSummary(
    report({
      sentence: '<img src=x> | @octo-org/team',
      steps: [{ kind: 'x', title: '<b>step</b>', durationMs: 1, result: 'done' }],
      findings: [finding('note', 'cancelled', 'first\n\n# heading\n> quote')],
      before: { ...snapshot(KMS_OFF), securityProfile: { 'a|`b': '</details>' } }
    })
  )
  expect(summary).not.toMatch(/<img|<b>|^# |@octo/m)
  expect(summary.match(/<\/details>/g)).toHaveLength(3)
  expect(new Marked({ gfm: true }).parse(summary, { async: false }).match(/<\/details>/g)).toHaveLength(2)
})

test('a preparation shows each thing with its state, and what to do with it', () => {
  const summary = renderSummary(preparedFromNothing())
  expect(summary).toContain('`prepare` · vault **`contoso-etcd-kv`** · resource group `rg-keys-weu` · done')
  expect(summary).toContain('| 🆕\u00a0made | **`etcd`** | RSA key of 3072 bits, a new version every 90 days |')
  expect(summary).toContain(
    `\`\`\`yaml\nkey-id: ${NEW_KEY}\nkey-vault-network-access: Private\nkey-vault-resource-id: /`
  )
  const differing = renderSummary(preparedWithDifferences())
  expect(differing).toContain(
    '| ⚠️\u00a0differs | **`etcd`** | RSA key of 2048 bits<br>It has 2048 bits rather than 3072. |'
  )
  expect(differing).toContain('troubleshooting.md#resource-differs')
  expect(differing).not.toContain('Private')
  expect(renderSummary(plannedPreparation())).toContain('| ➕\u00a0to\u00a0be\u00a0made | **`etcd`** |')
})

test('a preparation that stopped says what was made, that it stays, and how to go on', () => {
  const summary = renderSummary(prepareStopped())
  expect(summary).toContain('**State:** this run made `contoso-etcd-kv`, `etcd`. All of it stays.')
  expect(summary).toContain(
    'run it again with the same inputs (`operation: prepare`, `key-vault-resource-id: /subscriptions/'
  )
  expect(summary).toContain('| ➖\u00a0missing | **Key Vault Crypto User** |')
  expect(summary).not.toMatch(/KMS profile|Secrets/)
  const nothing = { ...prepareStopped(), steps: [], resources: prepareStopped().resources.slice(2) }
  expect(renderSummary(nothing)).toContain('**State:** this run made nothing.')
})

test('a summary that does not fit is shortened and says so', () => {
  const all = counts(100_000, { reEncrypted: 99_000, failed: 1_000 })
  const failures = Array.from({ length: 1_000 }, (_, i) => {
    const name = `${'s'.repeat(240)}${String(i)}`
    const reason = `${'<'.repeat(3_000)}${String(i)}`
    return { namespace: 'n'.repeat(63), name, permanence: 'permanent', status: 403, reason } as const
  })
  const huge = {
    ...proof('after-change', 10, 0),
    proved: false,
    counts: all,
    namespaces: namespaces(all, 5_000),
    failures
  }
  const source = {
    ...failedOnSecrets(1_000),
    findings: Array.from({ length: 500 }, () => finding('warning', 'azure-request-failed', '<|>'.repeat(5_000))),
    proofs: Array.from({ length: 200 }, () => huge)
  }
  const summary = fitSummary(source, {}, 500_000)
  expect(Buffer.byteLength(renderSummary(source))).toBeGreaterThan(500_000)
  expect(Buffer.byteLength(summary)).toBeLessThan(65_536)
  expect(summary).toContain('This is the short form')
  expect(Buffer.byteLength(fitSummary(source))).toBeLessThanOrEqual(1_000_000)
  expect(fitSummary(rotated())).toBe(renderSummary(rotated()))
})

describe('of the status of clusters', () => {
  const rowOf = (summary: string, name: string): string =>
    summary.split('\n').find((line) => line.startsWith('| ') && line.includes(`**\`${name}\`**`)) ?? ''

  test('the table says of each what is known and what is not', () => {
    const summary = renderSummary(statusReport(mixedFleet(), { dueOnly: true }), { docsUrl: DOCS })
    expect(rowOf(summary, 'prod-neu-1')).toMatch(
      /^\| 🔴 .*`rg-prod-weu` \| v2 Public \| `kv-platform \/ etcd \/ 0{6}…`<br>104 days old \| 2026-11-08<br>\*\*14 days overdue\*\* \| 2026-08-10 \| {2}\|$/
    )
    expect(rowOf(summary, 'shop')).toMatch(/^\| ❌ .*\*\*expired 2026-11-21\*\* .*\[`current-key-unusable`\]\(https:/)
    expect(rowOf(summary, 'payments')).toMatch(/^\| ❔ .*age not known \| not known \| 2026-10-13 \|/)
    expect(rowOf(summary, 'prod-nor-1')).toMatch(/2027-01-11 \| not known \| \[`api-server-unreachable`\]/)
    expect(rowOf(summary, 'dev-1')).toMatch(/2026-10-13<br>due, but stopped \| not known/)
    expect(rowOf(summary, 'batch')).toMatch(/\| \*\*to be finished\*\* \| 2026-10-03<br>unfinished `rotate` \|/)
    expect(rowOf(summary, 'sandbox')).toMatch(/^\| 🔓 .* \| off \| – \| – \| – \|/)
    expect(rowOf(summary, 'next')).toMatch(/data encryption/)
    expect(summary.indexOf('`prod-neu-1`**')).toBeLessThan(summary.indexOf('`prod-weu-1`**'))
    expect(summary).toContain('- **`prod-nor-1`** `api-server-unreachable` The API server')
    expect(summary).toContain('The output `clusters` has 3 clusters whose rotation is due.')
  })

  test('without an age nothing is said of when', () => {
    const source = statusReport(mixedFleet())
    const ageless = source.clusters?.map((cluster) => ({ ...cluster, dueAt: undefined, due: false, overdue: false }))
    expect(renderSummary({ ...source, clusters: ageless })).not.toContain('Rotation due')
  })

  test('one cluster has its facts one below the other, key versions with their whole urls', () => {
    const summary = renderSummary(statusReport([seenCluster('prod', 104)]))
    expect(summary).toMatch(/^### ⚠️ prod is overdue: KMS v2, key version 104 days old\./)
    expect(summary).toMatch(
      /\| Previous key version \| .*<br>`https:\/\/kv-platform\.vault\.azure\.net\/keys\/etcd\/0{31}1` \|/
    )
    expect(summary).toContain('| Rotation due | 2026-11-08<br>**14 days overdue** |')
  })

  test('two hundred clusters fit, those in order folded in; of more the most urgent are shown', () => {
    const summary = fitSummary(statusReport(largeFleet(200)))
    expect(summary.match(/^\| (🔴|🔓|✅) /gm)).toHaveLength(200)
    expect(summary).toContain('<summary>173 clusters in order</summary>')
    const more = fitSummary(statusReport(largeFleet(2_000)))
    expect(Buffer.byteLength(more)).toBeLessThan(1_000_000)
    expect(more.match(/^\| 🔴 /gm)).toHaveLength(134)
    expect(more).toContain('… and 1,800 more in the JSON report')
    const short = fitSummary(statusReport(largeFleet(200)), {}, 20_000)
    expect(short.match(/^\| (🔴|🔓|✅) /gm)).toHaveLength(50)
    expect(short).toContain('This is the short form')
  })

  test('what a record holds is no link and no markup', () => {
    const [seen] = [seenCluster('prod', 1)]
    const provedBy = 'javascript:alert(1)](x) @all <b>'
    const record = seen.record && { ...seen.record, provedBy }
    const summary = renderSummary(statusReport([{ ...seen, record }]))
    expect(summary).not.toMatch(/@all|<b>|\]\(x\)/)
  })
})

describe('a cluster that the run created', () => {
  const created = report({ operation: 'create', changed: true, proved: true, after: snapshot(kms(NEW_KEY)) })

  test('is shown as it is, beside nothing', () => {
    const markdown = renderSummary(created)
    expect(markdown).toContain('#### The new cluster')
    expect(markdown).toContain('| `azureKeyVaultKms.keyId` | `contoso-etcd-kv / etcd / 9b1c04…` |')
    expect(markdown).not.toContain('Before')
  })

  test('and that is not proved was created, not changed', () => {
    const error = { code: 'api-server-unreachable', message: 'No answer.', fix: 'Use another network.' } as const
    const markdown = renderSummary({ ...created, result: 'failed', proved: false, sentence: error.message, error })
    expect(markdown).toContain('the cluster was created, but **the Secrets are not proved** under the present profile')
    expect(markdown).toContain('may still be in etcd without encryption.')
  })
})
