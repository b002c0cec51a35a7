import { sameKeyVersion } from '../../model/key-id.ts'
import { keyIdOf } from '../../model/kms-profile.ts'
import type { KeyAdvice, RunReport } from '../../model/report.ts'
import { bold, code, prose } from '../markdown.ts'
import { clip } from '../text.ts'
import { blocks, keyCode, leftOut, type Section } from './section.ts'

const STATE: Readonly<Record<KeyAdvice['state'], string>> = {
  current: 'Current',
  keep: 'Must be kept',
  'may-be-retired': 'May be retired'
}

/** What is to become of each key version, with its whole url: elsewhere it is shown in short. */
export const keysSection: Section = (report, { limits }) => {
  const advised = report.keys
    .slice(0, limits.rows)
    .map(({ keyId, state, sentence }) => entry(keyId, STATE[state], prose(clip(sentence, limits.message))))
  const inUse = report.after ?? report.before
  const others = unadvisedKeys(report).map((keyId) =>
    entry(keyId, inUse !== undefined && sameKeyVersion(keyIdOf(inUse.kms), keyId) ? 'In use' : 'Before')
  )
  if (advised.length + others.length === 0) return ''
  return blocks('#### Key versions', [...advised, ...others].join('\n'), leftOut(report.keys.length, advised.length))
}

function entry(keyId: string, label: string, sentence?: string): string {
  return `- ${bold(label)} ${keyCode(keyId)}${sentence === undefined ? '' : `: ${sentence}`}<br>${code(keyId)}`
}

/** Key versions of the cluster, after and before, that no advice speaks of. */
export function unadvisedKeys({ before, after, keys }: RunReport): readonly string[] {
  const seen = [after, before].flatMap((snapshot) => (snapshot === undefined ? [] : (keyIdOf(snapshot.kms) ?? [])))
  return seen.filter(
    (keyId, i) =>
      !keys.some((advice) => sameKeyVersion(advice.keyId, keyId)) &&
      seen.findIndex((other) => sameKeyVersion(other, keyId)) === i
  )
}
