import { readFileSync } from 'node:fs'

const INTERVAL_MS = 100

/** Clock ticks of /proc, which are hundredths of a second on every Linux of today. */
const TICKS_PER_SECOND = 100

/** What other processes take, by /proc; zeros where there is none. */
export interface ProcessUsage {
  readonly cpuSeconds: number
  readonly peakRssBytes: number
}

/** Looks at one process until `end()`. */
export function watchProcess(pid: number): { end(): ProcessUsage } {
  let usage = { cpuSeconds: 0, peakRssBytes: 0 }
  return poll(
    () => {
      const peakRssBytes = peakOf(pid)
      if (peakRssBytes > 0) usage = { cpuSeconds: cpuOf(pid), peakRssBytes }
    },
    () => usage
  )
}

/** The most resident memory, in bytes, that all processes that descend from one have at a time, until `end()`. */
export function watchDescendants(pid: number): { end(): number } {
  let most = 0
  return poll(
    () => {
      const now = descendantsOf(pid).map((one) => kilobytesOf(one, 'VmRSS') * 1024)
      most = Math.max(
        most,
        now.reduce((sum, value) => sum + value, 0)
      )
    },
    () => most
  )
}

/**
 * The most resident memory, in bytes, that a process has had. Its own `process.resourceUsage()` would not do: on Linux that
 * begins with the peak of the process that started it.
 */
export function peakOf(pid: number): number {
  return kilobytesOf(pid, 'VmHWM') * 1024
}

function poll<Found>(look: () => void, found: () => Found): { end(): Found } {
  const timer = setInterval(look, INTERVAL_MS)
  return {
    end() {
      clearInterval(timer)
      return found()
    }
  }
}

/** User and system time. The name of the program, which may hold anything, is in parentheses before. */
function cpuOf(pid: number): number {
  const [, fields = ''] = /\) (.*)/s.exec(read(`/proc/${String(pid)}/stat`)) ?? []
  const [user = 0, system = 0] = fields.split(' ').slice(11, 13).map(Number)
  return (user + system) / TICKS_PER_SECOND
}

function descendantsOf(pid: number): readonly number[] {
  const children = read(`/proc/${String(pid)}/task/${String(pid)}/children`)
    .split(' ')
    .filter(Boolean)
    .map(Number)
  return children.flatMap((child) => [child, ...descendantsOf(child)])
}

function kilobytesOf(pid: number, field: string): number {
  return Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(read(`/proc/${String(pid)}/status`))?.[1] ?? 0)
}

/** Empty when the process is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
