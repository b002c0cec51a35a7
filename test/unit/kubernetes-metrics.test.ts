import { describe, expect, test } from '@jest/globals'

import { encryptionLines, readEncryptionMetrics } from '../../src/kubernetes/metrics.ts'

const ID = 'sha256:5dfcdfa07dbeb329b7592e6e6052387c1fca7f44a7294ad87274bc13e7cb083a'
const OLD = 'sha256:450fe1088f22a64adf3ebcc924806a336a8753634cf8b5c838e4ddbd5d3344af'
const NEW = 'sha256:a7ee75a686e7cb44630218b50e3a0a4f66a9aa100bee2e28b087aa752a61d051'

/** Out of the metrics of a kube-apiserver 1.36 after a rotation. */
const METRICS = `# HELP apiserver_encryption_config_controller_last_config_info [ALPHA] Information about the last applied encryption configuration with hash as label, split by apiserver identity.
# TYPE apiserver_encryption_config_controller_last_config_info gauge
apiserver_encryption_config_controller_last_config_info{apiserver_id_hash="${ID}",hash="sha256:9db1b979130b03f4dab8a0bd62f5d81f6bb2ac32a3d90463b34ef230e50c90c7"} 1
apiserver_envelope_encryption_dek_source_cache_size{provider_name="azurekms0"} 2
apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds{apiserver_id_hash="${ID}",key_id_hash="${OLD}",provider_name="azurekms0",transformation_type="from_storage"} 1.7953749755808163e+09
apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds{apiserver_id_hash="${ID}",key_id_hash="${NEW}",provider_name="azurekms1",transformation_type="from_storage"} 1.7953749757554688e+09
apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds{apiserver_id_hash="${ID}",key_id_hash="${NEW}",provider_name="azurekms1",transformation_type="to_storage"} 1.7953749755813375e+09
apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds{apiserver_id_hash="${ID}",key_id_hash="${OLD}",provider_name="azurekms0"} 1.795374972840994e+09
apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds{apiserver_id_hash="${ID}",key_id_hash="${NEW}",provider_name="azurekms1"} 1.79537497283527e+09
apiserver_envelope_encryption_key_id_hash_total{apiserver_id_hash="${ID}",key_id_hash="${OLD}",provider_name="azurekms0",transformation_type="from_storage"} 75
apiserver_storage_transformation_operations_total{resource="secrets",status="OK",transformation_type="from_storage",transformer_prefix="k8s:enc:kms:v2:azurekms0:"} 75
apiserver_storage_transformation_operations_total{resource="secrets",status="OK",transformation_type="to_storage",transformer_prefix=""} 25
process_start_time_seconds 1.79537497207e+09
`

test('of each key: when it was last named, read under and written under', () => {
  const metrics = readEncryptionMetrics(METRICS)
  expect(metrics).toMatchObject({ id: ID, startedAt: 1795374972070 })
  expect(metrics?.keys).toEqual([
    { keyIdHash: OLD, provider: 'azurekms0', status: 1795374972841, read: 1795374975581, write: undefined },
    {
      keyIdHash: NEW,
      provider: 'azurekms1',
      status: 1795374972835,
      read: 1795374975755,
      write: 1795374975581
    }
  ])
  expect(metrics?.prefixes).toEqual(new Set(['k8s:enc:kms:v2:azurekms0:', '']))
})

test('of an API server that has nothing to do with KMS', () => {
  expect(readEncryptionMetrics('process_start_time_seconds 1.5\nother{a="b"} 1\n')).toEqual({
    id: 'started-1500',
    startedAt: 1500,
    keys: [],
    prefixes: new Set()
  })
})

test.each(['', '<html>process_start_time_seconds 1</html>', '{"kind":"Status"}'])('no metrics: %j', (text) => {
  expect(readEncryptionMetrics(text)).toBeUndefined()
})

describe('out of a flood of others', () => {
  const others = Array.from(
    { length: 2000 },
    (_, i) => `apiserver_request_total{code="200",resource="r${i}"} 1\n`
  ).join('')
  const whole = others + METRICS + others
  const inPieces = async function* (size: number): AsyncGenerator<string, void> {
    for (let at = 0; at < whole.length; at += size) yield whole.slice(at, at + size)
  }

  test.each([7, 100, 65_536])('the lines that matter are kept, wherever they are cut: pieces of %i', async (size) => {
    const lines = await encryptionLines(inPieces(size), whole.length)
    expect(lines.length).toBeLessThan(METRICS.length)
    expect(readEncryptionMetrics(lines)).toEqual(readEncryptionMetrics(METRICS))
  })

  test('more than an API server can have is not read on', async () => {
    await expect(encryptionLines(inPieces(1000), whole.length - 1)).rejects.toThrow(RangeError)
  })
})
