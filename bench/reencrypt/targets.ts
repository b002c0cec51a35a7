import type { Table } from '../table.ts'
import type { CaseResult, Figures } from './measurement.ts'
import type { BenchResult } from './result.ts'
import { isSpread, nameOf, waysOf } from './tables.ts'

/** What the issue that asked for this bench aims at, beside what was measured: the worst of all the cases that it is about. */
interface Target {
  readonly what: string
  readonly aim: string
  readonly worst: (result: BenchResult) => Worst | undefined
}

interface Worst {
  readonly figure: string
  readonly met: boolean
  readonly where: string
}

const ORDINARY_BYTES = 1_000
/** From so many on, what a run takes to get going no longer shows in a rate. */
const MANY = 10_000
const ofMany = (cases: readonly CaseResult[], spread: boolean): readonly CaseResult[] =>
  cases.filter((one) => one.population.secrets >= MANY && isSpread(one.population) === spread)
const MB = 1e6

const TARGETS: readonly Target[] = [
  { what: 'Against kubectl at 20 ms', aim: '≥ 18×', worst: (result) => speedup(result, 20, 18) },
  { what: 'Against kubectl at 80 ms', aim: '≥ 45×', worst: (result) => speedup(result, 80, 45) },
  { what: 'Against kubectl on loopback', aim: '≥ 4×', worst: (result) => speedup(result, 0, 4) },
  { what: 'Of the ceiling, 10,000 Secrets and more', aim: '≥ 0.95', worst: (result) => ofCeiling(result, false) },
  { what: 'The same, with a list for every two Secrets', aim: '≥ 0.95', worst: (result) => ofCeiling(result, true) },
  {
    what: '25,000 Secrets',
    aim: '< 60 s',
    worst: ({ cases }) =>
      highest(
        cases.filter(({ population }) => population.secrets === 25_000),
        60,
        (value) => `${value.toFixed(1)} s`,
        ({ action }) => action.seconds
      )
  },
  {
    what: 'Peak memory of the built action, 100,000 Secrets',
    aim: '≤ 120 MB',
    worst: ({ bundles }) => memory(bundles.find(({ secrets }) => secrets === 100_000)?.peakRssBytes, 120)
  },
  {
    what: 'The same, above that with 1,000',
    aim: '≤ 20 MB',
    worst: ({ bundles }) => {
      const [few, many] = [1_000, 100_000].map((count) => bundles.find(({ secrets }) => secrets === count))
      return memory(few && many && many.peakRssBytes - few.peakRssBytes, 20)
    }
  },
  { what: 'Client CPU for 1,000 Secrets, of 10,000 and more', aim: '≤ 0.2 s', worst: (result) => cpu(result, false) },
  { what: 'The same, with a list for every two Secrets', aim: '≤ 0.2 s', worst: (result) => cpu(result, true) },
  {
    what: 'Marks of Secret values in answers',
    aim: '0',
    worst: ({ canaries }) =>
      canaries && {
        figure: String(canaries.action.hits),
        met: canaries.action.hits === 0 && canaries.kubectl.hits > 0,
        where: `of ${canaries.action.answers.toLocaleString('en-US')}; kubectl: ${String(canaries.kubectl.hits)}`
      }
  }
]

/** Those that the run has figures for. */
export function targetsTable(result: BenchResult): Table {
  const rows = TARGETS.flatMap(({ what, aim, worst }) => {
    const found = worst(result)
    return found === undefined ? [] : [[what, aim, found.figure, found.met ? 'met' : 'missed', found.where]]
  })
  return { head: ['Target', 'Aim', 'Measured', '', 'Where it was worst'], rows }
}

/** Of ordinary Secrets: large ones are bound by other things. */
function speedup({ cases }: BenchResult, rttMs: number, aim: number): Worst | undefined {
  const ordinary = cases.filter((one) => one.rttMs === rttMs && one.population.bytes === ORDINARY_BYTES)
  return lowest(
    ordinary,
    aim,
    (value) => `${value.toFixed(1)}×`,
    ({ action, kubectl }) => kubectl.seconds / action.seconds
  )
}

function ofCeiling({ cases }: BenchResult, spread: boolean): Worst | undefined {
  return lowest(
    ofMany(cases, spread),
    0.95,
    (value) => value.toFixed(2),
    ({ action, ceiling }) => ceiling.seconds / action.seconds
  )
}

function cpu({ cases }: BenchResult, spread: boolean): Worst | undefined {
  return highest(
    ofMany(cases, spread),
    0.2,
    (value) => `${value.toFixed(2)} s`,
    ({ action }) => action.cpuSecondsPerThousand
  )
}

type OfCase = (figures: Readonly<Record<'action' | 'ceiling' | 'kubectl', Figures>>) => number

function lowest(cases: readonly CaseResult[], aim: number, inWords: (value: number) => string, of: OfCase) {
  const [worst] = evaluated(cases, of).sort((a, b) => a.value - b.value)
  return worst && { figure: inWords(worst.value), met: worst.value >= aim, where: nameOf(worst.case) }
}

function highest(cases: readonly CaseResult[], aim: number, inWords: (value: number) => string, of: OfCase) {
  const [worst] = evaluated(cases, of).sort((a, b) => b.value - a.value)
  return worst && { figure: inWords(worst.value), met: worst.value <= aim, where: nameOf(worst.case) }
}

function evaluated(cases: readonly CaseResult[], of: OfCase): { readonly case: CaseResult; readonly value: number }[] {
  return cases.map((one) => {
    const [action, ceiling, kubectl] = waysOf(one)
    return {
      case: one,
      value: of({ action: action.figures, ceiling: ceiling.figures, kubectl: kubectl.figures })
    }
  })
}

function memory(bytes: number | undefined, aim: number): Worst | undefined {
  if (bytes === undefined) return undefined
  const megabytes = bytes / MB
  return { figure: `${megabytes.toFixed(0)} MB`, met: megabytes <= aim, where: '' }
}
