import { readdir } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'

import type { Subject } from './subject.ts'

/** The directories in which real control planes keep their etcd's socket. */
export async function controlPlaneDirectories(): Promise<readonly string[]> {
  const entries = await readdir(tmpdir())
  return entries.filter((entry) => entry.startsWith('aks-kms-')).map((entry) => join(tmpdir(), entry))
}

/** What tests do to the etcd of a real control plane behind the API server's back. */
export function etcdOf(directory: string): Pick<Subject, 'compact' | 'store'> {
  const post = (path: string, body: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: join(directory, 'etcd.sock'), method: 'POST', path }, (response) => {
        json(response).then(resolve, reject)
      })
      outgoing.on('error', reject)
      outgoing.end(JSON.stringify(body))
    })
  return {
    async compact() {
      const { header } = (await post('/v3/kv/range', { key: 'AA==' })) as {
        readonly header: { readonly revision: string }
      }
      await post('/v3/kv/compaction', { revision: header.revision })
    },
    async store(namespace, name, bytes) {
      const key = Buffer.from(`/registry/secrets/${namespace}/${name}`).toString('base64')
      await post('/v3/kv/put', { key, value: Buffer.from(bytes).toString('base64') })
    }
  }
}
