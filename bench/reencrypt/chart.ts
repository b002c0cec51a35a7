import type { CaseResult } from './measurement.ts'
import { waysOf } from './tables.ts'

const WIDTH = 960
const HEIGHT = 456
const TOP = 64
const BOTTOM = 372
const LABEL_HEIGHT = 16

/** What is drawn of each way, in the order of `waysOf`; what comes later lies on top. */
const STYLES = [
  { way: 1, name: 'API server’s ceiling', style: 'ceiling' },
  { way: 2, name: 'kubectl get | replace', style: 'kubectl' },
  { way: 0, name: 'this action', style: 'action' }
] as const

interface Point {
  readonly x: number
  readonly seconds: number
  readonly extrapolated: boolean
}

interface Panel {
  readonly title: string
  readonly axis: string
  /** Where it begins and ends, without the labels of its lines. */
  readonly left: number
  readonly right: number
  /** From 0 to 1 within that. */
  readonly place: (x: number) => number
  readonly ticks: readonly { readonly x: number; readonly text: string }[]
  readonly cases: readonly CaseResult[]
  readonly xOf: (result: CaseResult) => number
}

/** Time against the number of Secrets, and against the round trip, in light or dark as the reader's system asks for. */
export function drawChart(results: readonly CaseResult[]): string {
  const ordinary = results.filter(
    ({ population: { bytes, secrets, namespaces } }) => bytes === 1_000 && secrets / namespaces >= 10
  )
  const bySize = ordinary.filter(({ rttMs }) => rttMs === 0).sort((a, b) => a.population.secrets - b.population.secrets)
  const distant = ordinary.find(({ rttMs }) => rttMs === 80)?.population.secrets
  const byDistance = ordinary
    .filter(({ population }) => population.secrets === distant)
    .sort((a, b) => a.rttMs - b.rttMs)
  const sizes = bySize.map(({ population }) => population.secrets)
  const decades = (secrets: number): number => Math.log10(secrets / Math.min(...sizes))

  const panels: readonly Panel[] = [
    {
      title: 'By number of Secrets of 1 kB, on loopback',
      axis: 'Secrets',
      left: 64,
      right: 400,
      place: (secrets) => decades(secrets) / decades(Math.max(...sizes)),
      ticks: sizes.map((x) => ({ x, text: x.toLocaleString('en-US') })),
      cases: bySize,
      xOf: ({ population }) => population.secrets
    },
    {
      title: `By round trip to the API server, ${(distant ?? 0).toLocaleString('en-US')} Secrets`,
      axis: 'Round trip',
      left: 600,
      right: 804,
      place: (milliseconds) => milliseconds / 80,
      ticks: byDistance.map(({ rttMs }) => ({ x: rttMs, text: `${String(rttMs)} ms` })),
      cases: byDistance,
      xOf: ({ rttMs }) => rttMs
    }
  ]
  const all = [...bySize, ...byDistance].flatMap((one) => waysOf(one).map(({ figures }) => figures.seconds))
  const lowest = Math.floor(Math.log10(Math.min(...all)))
  const highest = Math.ceil(Math.log10(Math.max(...all)))
  const y = (seconds: number): number => BOTTOM - ((Math.log10(seconds) - lowest) / (highest - lowest)) * (BOTTOM - TOP)
  const grid = Array.from({ length: highest - lowest + 1 }, (_, index) => 10 ** (lowest + index))

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title">
<title id="title">Time to re-encrypt Secrets: this action, kubectl, and what the API server can do at all</title>
<style>${STYLE}</style>
<rect class="surface" width="${WIDTH}" height="${HEIGHT}" rx="6"/>
${panels.map((panel) => drawPanel(panel, grid, y)).join('\n')}
<text class="note" x="64" y="${HEIGHT - 18}">Time and the number of Secrets are on logarithmic axes. A hollow point is extrapolated from a sample.</text>
</svg>
`
}

function drawPanel(panel: Panel, grid: readonly number[], y: (seconds: number) => number): string {
  const { left, right } = panel
  const x = (value: number): number => left + panel.place(value) * (right - left)
  const lines = STYLES.map(({ way, name, style }) => {
    const points = panel.cases.map((result): Point => {
      const { seconds, extrapolated } = waysOf(result)[way].figures
      return { x: panel.xOf(result), seconds, extrapolated }
    })
    return { name, style, points, end: y(points.at(-1)?.seconds ?? 1) }
  })
  return [
    `<text class="title" x="${left}" y="28">${panel.title}</text>`,
    ...grid.map(
      (seconds) =>
        `<line class="grid" x1="${left}" x2="${right}" y1="${at(y(seconds))}" y2="${at(y(seconds))}"/>` +
        `<text class="tick" x="${left - 8}" y="${at(y(seconds) + 4)}" text-anchor="end">${inWords(seconds)}</text>`
    ),
    `<text class="tick" x="${left - 8}" y="${TOP - 16}" text-anchor="end">Time</text>`,
    ...panel.ticks.map(
      (tick) =>
        `<line class="axis" x1="${at(x(tick.x))}" x2="${at(x(tick.x))}" y1="${BOTTOM}" y2="${BOTTOM + 5}"/>` +
        `<text class="tick" x="${at(x(tick.x))}" y="${BOTTOM + 20}" text-anchor="middle">${tick.text}</text>`
    ),
    `<line class="axis" x1="${left}" x2="${right}" y1="${BOTTOM}" y2="${BOTTOM}"/>`,
    `<text class="tick" x="${(left + right) / 2}" y="${BOTTOM + 38}" text-anchor="middle">${panel.axis}</text>`,
    ...lines.map(({ style, points }) => {
      const path = points.map((point) => `${at(x(point.x))},${at(y(point.seconds))}`).join(' ')
      const dots = points.map(
        (point) =>
          `<circle class="${style} ${point.extrapolated ? 'hollow' : 'dot'}" cx="${at(x(point.x))}" cy="${at(y(point.seconds))}" r="4"><title>${inWords(point.seconds)}</title></circle>`
      )
      return `<polyline class="${style}" points="${path}"/>${dots.join('')}`
    }),
    ...apart(lines).map(
      ({ name, style, place }) => `<text class="label ${style}" x="${right + 12}" y="${at(place + 4)}">${name}</text>`
    )
  ].join('\n')
}

/** Beside the ends of their lines, but not on one another. */
function apart<Line extends { readonly end: number }>(lines: readonly Line[]): (Line & { readonly place: number })[] {
  let last = -Infinity
  return lines
    .toSorted((a, b) => a.end - b.end)
    .map((line) => {
      last = Math.max(line.end, last + LABEL_HEIGHT)
      return { ...line, place: last }
    })
}

function inWords(seconds: number): string {
  if (seconds < 10) return `${String(Number(seconds.toPrecision(2)))} s`
  return `${Math.round(seconds).toLocaleString('en-US')} s`
}

const at = (value: number): string => value.toFixed(1)

const STYLE = `
text { font: 12px -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #59636e; }
.surface { fill: #ffffff; }
.title { font-size: 14px; font-weight: 600; fill: #1f2328; }
.grid { stroke: #d1d9e0; }
.axis { stroke: #818b98; }
polyline { fill: none; stroke-width: 2.5; }
.action { stroke: #0969da; fill: #0969da; }
.kubectl { stroke: #bc4c00; fill: #bc4c00; }
.ceiling { stroke: #6e7781; fill: #6e7781; }
polyline.ceiling { stroke-dasharray: 5 4; stroke-width: 2; }
polyline.action, polyline.kubectl, polyline.ceiling { fill: none; }
.hollow { fill: #ffffff; stroke-width: 2; }
.label { font-size: 13px; font-weight: 600; stroke: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; }
  .surface, .hollow { fill: #0d1117; }
  .title { fill: #f0f6fc; }
  .grid { stroke: #3d444d; }
  .axis { stroke: #656c76; }
  .action { stroke: #4493f8; fill: #4493f8; }
  .kubectl { stroke: #f0883e; fill: #f0883e; }
  .ceiling { stroke: #9198a1; fill: #9198a1; }
  polyline.action, polyline.kubectl, polyline.ceiling { fill: none; }
  .hollow { fill: #0d1117; }
  .label { stroke: none; }
}
`
