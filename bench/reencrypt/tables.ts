import { quantile } from '../spread.ts'
import type { Table } from '../table.ts'
import { figuresOf, type CaseResult, type Figures } from './measurement.ts'
import type { Latencies } from './processes/bystander.ts'
import type { Population } from './population.ts'
import type { BenchResult } from './result.ts'

/** Fewer answers than this have no 99th percentile worth its name. */
const FEWEST_FOR_P99 = 100

export interface Row {
  readonly name: string
  readonly figures: Figures
}

/** The ways of one case, ours first. */
export function waysOf(result: CaseResult): readonly [Row, Row, Row, Row] {
  const row = (name: string, runs: CaseResult['action']): Row => ({ name, figures: figuresOf(runs, result.population) })
  return [
    row('this action', result.action),
    row('ceiling', result.ceiling),
    row('kubectl', [result.kubectl]),
    row('kubectl, per namespace', [result.kubectlPerNamespace])
  ]
}

/** Such as `2,000 of 200 kB, 80 ms`. */
export function nameOf({ population, rttMs }: CaseResult): string {
  const { secrets, bytes, namespaces } = population
  const size = bytes === 1_000 ? '' : ` of ${inKilobytes(bytes)}`
  const spread = isSpread(population) ? ` in ${count(namespaces)} namespaces` : ''
  const distance = rttMs === 0 ? '' : `, ${String(rttMs)} ms`
  return `${count(secrets)}${size}${spread}${distance}`
}

/** So few Secrets in each namespace that the lists weigh beside the patches. */
export function isSpread({ secrets, namespaces }: Population): boolean {
  return secrets / namespaces < 10
}

/** Everything of one case. */
export function caseTable(result: CaseResult): Table {
  const [action, ceiling, kubectl, perNamespace] = waysOf(result)
  return {
    head: [
      '',
      's',
      'patches/s',
      '× kubectl',
      'of ceiling',
      'CPU s/1,000',
      'peak MB',
      'bytes/Secret',
      'GET p50/p99',
      'PUT p50/p99'
    ],
    rows: [
      ...[action, ceiling, kubectl, perNamespace].map(({ name, figures }) => [
        name,
        inSeconds(figures),
        figures.patchesPerSecond.toFixed(0),
        `${(kubectl.figures.seconds / figures.seconds).toFixed(1)}×`,
        (ceiling.figures.seconds / figures.seconds).toFixed(2),
        figures.cpuSecondsPerThousand.toFixed(2),
        inMegabytes(figures.peakRssBytes),
        count(Math.round(figures.receivedBytesPerSecret)),
        inMilliseconds(figures.bystander.get),
        inMilliseconds(figures.bystander.put)
      ]),
      [
        'the rest of the proof',
        result.proof.seconds.toFixed(1),
        ...['', '', ''],
        ((result.proof.cpuSeconds / result.population.secrets) * 1000).toFixed(2),
        inMegabytes(result.proof.peakRssBytes),
        ...['', '', '']
      ],
      [
        'idle server',
        ...Array.from({ length: 7 }, () => ''),
        inMilliseconds(result.idle.get),
        inMilliseconds(result.idle.put)
      ]
    ]
  }
}

export function speedTable({ cases }: BenchResult): Table {
  return {
    head: [
      'Secrets',
      'this action',
      'and its proof',
      'kubectl',
      'faster than kubectl',
      'ceiling',
      'of the ceiling',
      'patches/s'
    ],
    rows: cases.map((result) => {
      const [action, ceiling, kubectl] = waysOf(result)
      return [
        nameOf(result),
        `${inSeconds(action.figures)} s`,
        `${(action.figures.seconds + result.proof.seconds).toFixed(1)} s`,
        `${inSeconds(kubectl.figures)} s`,
        `${(kubectl.figures.seconds / action.figures.seconds).toFixed(1)}×`,
        `${inSeconds(ceiling.figures)} s`,
        (ceiling.figures.seconds / action.figures.seconds).toFixed(2),
        action.figures.patchesPerSecond.toFixed(0)
      ]
    })
  }
}

export function perNamespaceTable({ cases }: BenchResult): Table {
  return {
    head: ['Secrets', 'kubectl', 'kubectl, per namespace', 'its memory', 'its CPU for 1,000'],
    rows: cases.map((result) => {
      const [, , kubectl, perNamespace] = waysOf(result)
      return [
        nameOf(result),
        `${inSeconds(kubectl.figures)} s`,
        `${inSeconds(perNamespace.figures)} s`,
        `${inMegabytes(perNamespace.figures.peakRssBytes)} MB`,
        `${perNamespace.figures.cpuSecondsPerThousand.toFixed(2)} s`
      ]
    })
  }
}

export function costTable({ cases }: BenchResult): Table {
  return {
    head: ['Secrets', 'CPU for 1,000', 'kubectl’s', 'peak memory', 'kubectl’s', 'received for each', 'kubectl’s'],
    rows: cases.map((result) => {
      const [action, , kubectl] = waysOf(result)
      return [
        nameOf(result),
        // A sample pays for kubectl's start as much as all would.
        ...[action, kubectl].map(
          ({ figures }) => `${figures.extrapolated ? '< ' : ''}${figures.cpuSecondsPerThousand.toFixed(2)} s`
        ),
        // Of a sample kubectl holds a part only of what it would hold of all.
        ...[action, kubectl].map(
          ({ figures }) => `${figures.extrapolated ? '> ' : ''}${inMegabytes(figures.peakRssBytes)} MB`
        ),
        ...[action, kubectl].map(({ figures }) => inKilobytes(figures.receivedBytesPerSecret))
      ]
    })
  }
}

export function bystanderTable({ cases }: BenchResult): Table {
  return {
    head: ['Secrets', 'idle server', 'this action', 'ceiling', 'kubectl'],
    rows: cases.map((result) => {
      const [action, ceiling, kubectl] = waysOf(result)
      const all = [result.idle, ...[action, ceiling, kubectl].map(({ figures }) => figures.bystander)]
      return [nameOf(result), ...all.map(({ get, put }: Latencies) => inMilliseconds([...get, ...put]))]
    })
  }
}

export function bundleTable({ bundles }: BenchResult): Table {
  return {
    head: [
      'Secrets',
      'the whole run',
      'proof before the change',
      're-encryption',
      'proof after it',
      'CPU',
      'peak memory'
    ],
    rows: bundles.map(({ secrets, seconds, cpuSeconds, peakRssBytes, passes }) => {
      const sum = (of: (pass: (typeof passes)[number]) => boolean): string =>
        `${passes
          .filter(of)
          .reduce((total, pass) => total + pass.seconds, 0)
          .toFixed(1)} s`
      return [
        count(secrets),
        `${seconds.toFixed(1)} s`,
        sum(({ when }) => when === 'before-change'),
        sum(({ when, reEncrypted }) => when !== 'before-change' && reEncrypted > 0),
        sum(({ when, reEncrypted }) => when !== 'before-change' && reEncrypted === 0),
        `${cpuSeconds.toFixed(1)} s`,
        `${inMegabytes(peakRssBytes)} MB`
      ]
    })
  }
}

/** A tilde where it was not measured on all Secrets. */
function inSeconds({ seconds, extrapolated }: Figures): string {
  return `${extrapolated ? '~' : ''}${seconds < 100 ? seconds.toFixed(1) : count(Math.round(seconds))}`
}

function inMilliseconds(latencies: readonly number[]): string {
  const at = (share: number): string => quantile(latencies, share).toFixed(0)
  if (latencies.length === 0) return '–'
  return `${at(0.5)}/${latencies.length < FEWEST_FOR_P99 ? '–' : at(0.99)} ms`
}

const inMegabytes = (bytes: number): string => (bytes / 1e6).toFixed(0)

function inKilobytes(bytes: number): string {
  return `${bytes < 10_000 ? (bytes / 1000).toFixed(1).replace(/\.0$/, '') : count(Math.round(bytes / 1000))} kB`
}

/** With commas between thousands. */
function count(value: number): string {
  return value.toLocaleString('en-US')
}
