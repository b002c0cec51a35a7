import type { ClusterStatus } from '../model/cluster-status.ts'

/** For the log: `prod: overdue`, and below it what its findings say. */
export function statusLines({ name, result, findings }: ClusterStatus): readonly string[] {
  return [`${name}: ${result}`, ...findings.map(({ severity, code, message }) => `  ${severity} ${code}: ${message}`)]
}
