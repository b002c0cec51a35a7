import { readFileSync } from 'node:fs'

const INTERVAL_MS = 100

/**
 * The most resident memory, in bytes, that this process has had. Not by `process.resourceUsage()`: on Linux that begins with the
 * peak of the process that started this one.
 */
export function ownPeak(): number {
  return statusOf(process.pid, 'VmHWM')
}

/**
 * The most resident memory, in bytes, of a process by its own high-water mark, or of all processes that descend from it
 * together at one time, until `end()` gives it. Zero where there is no /proc.
 */
export function watchMemory(pid: number, of: 'process' | 'descendants'): { end(): number } {
  let most = 0
  const look = (): void => {
    const now = of === 'process' ? statusOf(pid, 'VmHWM') : sum(descendantsOf(pid).map((one) => statusOf(one, 'VmRSS')))
    most = Math.max(most, now)
  }
  const timer = setInterval(look, INTERVAL_MS)
  return {
    end() {
      clearInterval(timer)
      return most
    }
  }
}

function descendantsOf(pid: number): readonly number[] {
  const children = read(`/proc/${String(pid)}/task/${String(pid)}/children`)
    .split(' ')
    .filter(Boolean)
    .map(Number)
  return children.flatMap((child) => [child, ...descendantsOf(child)])
}

function statusOf(pid: number, field: string): number {
  const kilobytes = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(read(`/proc/${String(pid)}/status`))?.[1]
  return Number(kilobytes ?? 0) * 1024
}

/** Empty when the process is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
