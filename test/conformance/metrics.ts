import { expect } from '@jest/globals'

import { call, type Subject } from './subject.ts'

/** One line of Prometheus' text format. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Those of one metric, as an API server has them now. */
export async function samples(subject: Subject, name: string): Promise<readonly Sample[]> {
  const { status, body } = await call(subject, 'GET', '/metrics')
  expect(status).toBe(200)
  return samplesIn(String(body), name)
}

export function samplesIn(text: string, name: string): readonly Sample[] {
  return text
    .split('\n')
    .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter((match) => match !== null && match[1] === name)
    .map((match) => ({
      labels: Object.fromEntries(
        [...(match?.[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => [label, value])
      ),
      value: Number(match?.[3])
    }))
}
