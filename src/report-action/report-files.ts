import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

export interface ReportFile {
  /** Name of the artifact's folder without `kms-report-`; empty for a file that lies in none. */
  readonly folder: string
  readonly text: string
}

/** Every JSON file below a folder that actions/download-artifact filled; none where there is no folder, because nothing was uploaded. */
export async function readReportFiles(root: string): Promise<readonly ReportFile[]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => join(entry.parentPath, entry.name))
  return await Promise.all(
    paths.sort().map(async (path) => {
      const parts = relative(root, path).split(sep)
      const folder = parts.length > 1 ? (parts[0] ?? '') : ''
      return { folder: folder.replace(/^kms-report-/, ''), text: await readFile(path, 'utf8') }
    })
  )
}
