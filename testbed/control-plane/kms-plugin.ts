import { createHash } from 'node:crypto'
import { join } from 'node:path'

import { Server, ServerCredentials, status, type handleUnaryCall, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

import type { KeyOperations } from '../contract.ts'
import { decryptWithOneOf } from '../earlier-keys.ts'

/** Keys of a plugin, as a provider of an EncryptionConfiguration names them. */
export interface PluginKeys {
  readonly keyId: string
  readonly earlierKeyIds?: readonly string[]
}

/**
 * Like Azure's plugin, one instance encrypts under one key version and serves KMS v1 and KMS v2 on the same socket. With
 * earlier keys it decrypts by KMS v1 what they encrypted, which Azure's does not.
 */
export interface KmsPlugin {
  /** What the EncryptionConfiguration calls the endpoint: `unix://<path>`. */
  readonly endpoint: string
  /** Throws when the vault doesn't let the plugin encrypt and decrypt under its key. */
  check(): Promise<void>
  stop(): void
}

const PROTOS = join(import.meta.dirname, 'protos')

/** The protocol's version in the words of Azure's plugin. */
const KMS_V1 = { version: 'v1beta1', runtimeName: 'Microsoft AzureKMS', runtimeVersion: 'test bed' }
const KMS_V2_VERSION = 'v2beta1'

const ALGORITHM = 'RSA-OAEP-256'
const ALGORITHM_ANNOTATION = 'algorithm.azure.akv.io'
const VERSION_ANNOTATION = 'version.azure.akv.io'
const DATE_ANNOTATION = 'date.azure.akv.io'
const ANNOTATION_VERSION = '1'

const HEALTH_CHECK = Buffer.from('healthcheck')

export async function startKmsPlugin(options: {
  readonly keys: PluginKeys
  readonly keyOperations: KeyOperations
  readonly socket: string
}): Promise<KmsPlugin> {
  const { keyOperations } = options
  const { keyId, earlierKeyIds = [] } = options.keys
  const keyIdHash = createHash('sha256').update(keyId).digest('hex')

  async function check(): Promise<void> {
    const ciphertext = await keyOperations.encrypt(keyId, HEALTH_CHECK)
    const plaintext = await keyOperations.decrypt(keyId, ciphertext)
    if (!HEALTH_CHECK.equals(plaintext)) throw new Error('what was decrypted is not what was encrypted')
  }

  const server = new Server()
  server.addService(serviceOf('kms-v1beta1.proto', 'v1beta1.KeyManagementService'), {
    Version: unary(async () => KMS_V1),
    Encrypt: unary(async ({ plain }: { readonly plain: Buffer }) => ({
      cipher: await keyOperations.encrypt(keyId, plain)
    })),
    Decrypt: unary(async ({ cipher }: { readonly cipher: Buffer }) => ({
      plain: await decryptWithOneOf(keyOperations, [keyId, ...earlierKeyIds], cipher)
    }))
  })
  server.addService(serviceOf('kms-v2.proto', 'v2.KeyManagementService'), {
    Status: unary(async () => {
      await check()
      return { version: KMS_V2_VERSION, healthz: 'ok', keyId: keyIdHash }
    }),
    Encrypt: unary(async ({ plaintext }: { readonly plaintext: Buffer }) => ({
      ciphertext: await keyOperations.encrypt(keyId, plaintext),
      keyId: keyIdHash,
      annotations: {
        [ALGORITHM_ANNOTATION]: Buffer.from(ALGORITHM),
        [VERSION_ANNOTATION]: Buffer.from(ANNOTATION_VERSION),
        [DATE_ANNOTATION]: Buffer.from(new Date().toUTCString())
      }
    })),
    Decrypt: unary(async (request: DecryptRequest) => {
      expectEqual('key id', request.keyId, keyIdHash)
      expectEqual(ALGORITHM_ANNOTATION, text(request.annotations[ALGORITHM_ANNOTATION]), ALGORITHM)
      expectEqual(VERSION_ANNOTATION, text(request.annotations[VERSION_ANNOTATION]), ANNOTATION_VERSION)
      return { plaintext: await keyOperations.decrypt(keyId, request.ciphertext) }
    })
  })

  const endpoint = `unix://${options.socket}`
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(endpoint, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
  return {
    endpoint,
    check,
    stop() {
      server.forceShutdown()
    }
  }
}

interface DecryptRequest {
  readonly ciphertext: Buffer
  readonly keyId: string
  readonly annotations: Readonly<Record<string, Buffer>>
}

function serviceOf(proto: string, name: string): ServiceDefinition {
  const definition = loadSync(join(PROTOS, proto), { defaults: true })[name]
  if (definition === undefined) throw new Error(`${proto} does not define ${name}.`)
  return definition as ServiceDefinition
}

/** A failure is told to the API server as Go's gRPC tells a plain error: code Unknown with its message. */
function unary<Request, Response>(answer: (request: Request) => Promise<Response>): handleUnaryCall<Request, Response> {
  return (call, respond) => {
    answer(call.request).then(
      (response) => respond(null, response),
      (error: unknown) =>
        respond({ code: status.UNKNOWN, details: error instanceof Error ? error.message : String(error) })
    )
  }
}

function expectEqual(what: string, actual: string, expected: string): void {
  if (actual !== expected) throw new Error(`${what} "${actual}" does not match the expected "${expected}"`)
}

function text(value: Buffer | undefined): string {
  return value?.toString('utf8') ?? ''
}
