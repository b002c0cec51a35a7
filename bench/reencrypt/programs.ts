import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { findBinaries } from '../../testbed/control-plane/binaries.ts'

/**
 * From now on the bed's API servers collect garbage as Go does by itself, and as those of AKS do. By the bed they collect none up
 * to half a gigabyte, and with many Secrets hardly do anything else then.
 */
export async function collectGarbageAsUsual(): Promise<{ undo(): Promise<void> }> {
  const { etcd, kubeApiserver, kubectl } = await findBinaries()
  const directory = await mkdtemp(join(tmpdir(), 'bench-programs-'))
  await symlink(etcd, join(directory, 'etcd'))
  await symlink(kubectl, join(directory, 'kubectl'))
  const script = join(directory, 'kube-apiserver')
  await writeFile(script, `#!/bin/sh\nunset GOGC GOMEMLIMIT\nexec '${kubeApiserver}' "$@"\n`)
  await chmod(script, 0o755)

  const before = process.env['KUBEBUILDER_ASSETS']
  process.env['KUBEBUILDER_ASSETS'] = directory
  return {
    async undo() {
      process.env['KUBEBUILDER_ASSETS'] = before ?? ''
      await rm(directory, { recursive: true, force: true })
    }
  }
}
