import type { Fleet, FleetCluster } from '../../model/fleet.ts'

const DAY = 86_400_000

/** Told apart on GitHub's light and dark page alike. */
const [BAR, DUE] = ['#4393e4', '#cf222e']

/** More bars than these are too thin to read. */
const MOST_BARS = 30

/**
 * Ages of the key versions in use as a Mermaid diagram, oldest first, with a line where each is due if all are; empty where no age
 * is known. Source: mermaid.js.org/syntax/xyChart.html
 */
export function keyAgeChart({ clusters }: Fleet): string {
  const aged = clusters
    .filter((cluster): cluster is FleetCluster & { readonly keyAge: number } => cluster.keyAge !== undefined)
    .sort((a, b) => b.keyAge - a.keyAge)
  const shown = aged.slice(0, MOST_BARS)
  if (shown.length === 0) return ''
  const ages = shown.map(({ keyAge }) => Math.floor(keyAge / DAY))
  const due = shown.map(({ rotationDue, keyCreated }) =>
    rotationDue === undefined || keyCreated === undefined ? undefined : Math.round((rotationDue - keyCreated) / DAY)
  )
  const limits = due.every((age) => age !== undefined) ? due : []
  const height = Math.max(180, 80 + shown.length * 26)
  const more = aged.length > shown.length ? `, the ${String(shown.length)} oldest of ${String(aged.length)}` : ''
  return [
    '```mermaid',
    '---',
    'config:',
    '  xyChart:',
    '    width: 800',
    `    height: ${String(height)}`,
    '  themeVariables:',
    '    xyChart:',
    `      plotColorPalette: "${BAR}, ${DUE}"`,
    '---',
    'xychart-beta horizontal',
    `  title "Age of the key version in use, in days${more}"`,
    `  x-axis [${shown.map(({ name }) => `"${name.replace(/[^\w .-]/g, '')}"`).join(', ')}]`,
    `  y-axis 0 --> ${String(Math.max(...ages, ...limits, 1))}`,
    `  bar [${ages.join(', ')}]`,
    ...(limits.length === 0 ? [] : [`  line [${limits.join(', ')}]`]),
    '```'
  ].join('\n')
}
