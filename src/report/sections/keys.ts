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

/** What is to become of each key version, with its whole url: everywhere else it is shown in short. */
export const keysSection: Section = (report, { limits }) => {
  const advised = report.keys
    .slice(0, limits.rows)
    .map(({ keyId, state, sentence }) =>
      entry(`${bold(STATE[state])} ${keyCode(keyId)}: ${prose(clip(sentence, limits.message))}`, keyId)
    )
  const seen = unadvisedKeys(report).map((keyId) => entry(keyCode(keyId), keyId))
  if (advised.length + seen.length === 0) return ''
  return blocks('#### Key versions', [...advised, ...seen].join('\n'), leftOut(report.keys.length, advised.length))
}

function entry(line: string, keyId: string): string {
  return `- ${line}<br>${code(keyId)}`
}

/** Key versions of the cluster, before and after, that no advice speaks of. */
export function unadvisedKeys({ before, after, keys }: RunReport): readonly string[] {
  const seen = [after, before].flatMap((snapshot) => (snapshot === undefined ? [] : (keyIdOf(snapshot.kms) ?? [])))
  return seen.filter(
    (keyId, i) =>
      !keys.some((advice) => sameKeyVersion(advice.keyId, keyId)) &&
      seen.findIndex((other) => sameKeyVersion(other, keyId)) === i
  )
}
