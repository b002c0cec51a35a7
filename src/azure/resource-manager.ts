import { createContainerService } from '@azure/arm-containerservice/api'
import type { TokenCredential } from '@azure/core-auth'
import { isRestError, type HttpClient } from '@azure/core-rest-pipeline'
import type { JsonObject } from '../model/json.ts'
import type { Cloud } from './clouds.ts'
import type { Pause } from '../pause.ts'
import { errorCode, isNetworkError, transientRetryPolicy } from './retry-policy.ts'
import { USER_AGENT } from './user-agent.ts'

/** Of managed clusters: stable, with `eTag` and with all that KMS etcd encryption needs. */
export const API_VERSION = '2025-10-01'

export interface ArmRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH'
  /** A path, to which the API version is added; or the whole url of an operation, used as it is. */
  readonly url: string
  /** That of managed clusters unless given. */
  readonly apiVersion?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: JsonObject
  readonly signal?: AbortSignal | undefined
}

export interface ArmAnswer {
  /** 0 when there was no answer; the body then is an error in the shape of the service's. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON; text where the answer is none. */
  readonly body: unknown
}

/** Azure Resource Manager with raw bodies: the SDK's typed models would drop every property that they do not know. */
export interface ResourceManager {
  /**
   * Sends a request, repeated while Azure throttles or fails, except a PUT that Azure may have carried out.
   * Throws only what the credential throws and the signal's reason.
   */
  send(request: ArmRequest): Promise<ArmAnswer>
}

export interface ResourceManagerOptions {
  readonly httpClient?: HttpClient
  readonly pause?: Pause
  /** For one attempt, in milliseconds. */
  readonly attemptTimeout?: number
}

export function createResourceManager(
  credential: TokenCredential,
  cloud: Cloud,
  subscriptionId: string,
  { httpClient, ...retries }: ResourceManagerOptions = {}
): ResourceManager {
  const context = createContainerService(credential, subscriptionId, {
    endpoint: cloud.resourceManager,
    credentials: { scopes: [`${cloud.resourceManager}/.default`] },
    userAgentOptions: { userAgentPrefix: USER_AGENT },
    ...(httpClient === undefined ? {} : { httpClient })
  })
  context.pipeline.removePolicy({ name: 'defaultRetryPolicy' })
  context.pipeline.addPolicy(transientRetryPolicy({ mayRepeat: (request) => request.method !== 'PUT', ...retries }), {
    phase: 'Retry'
  })

  return {
    async send({ method, url, apiVersion = API_VERSION, headers = {}, body, signal }) {
      if (url.startsWith('https://') && new URL(url).origin !== new URL(cloud.resourceManager).origin) {
        return {
          status: 403,
          headers: {},
          body: { code: 'ForeignHost', message: 'Another host must not see the token.' }
        }
      }
      const resource = context.pathUnchecked(url.startsWith('https://') ? url : withApiVersion(url, apiVersion))
      const parameters = {
        headers: { ...headers },
        ...(body === undefined ? {} : { body, contentType: 'application/json' }),
        ...(signal === undefined ? {} : { abortSignal: signal })
      }
      try {
        const response = await { GET: resource.get, PUT: resource.put, POST: resource.post, PATCH: resource.patch }[
          method
        ](parameters)
        return { status: Number(response.status), headers: response.headers, body: response.body }
      } catch (error) {
        signal?.throwIfAborted()
        // The SDK throws where a body that calls itself JSON is none; its message would quote that body.
        if (isRestError(error) && error.response !== undefined) {
          return { status: error.response.status, headers: error.response.headers.toJSON(), body: undefined }
        }
        if (isNetworkError(error)) return noAnswer(errorCode(error) ?? 'Timeout', error.message)
        throw error
      }
    }
  }
}

function withApiVersion(path: string, apiVersion: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}api-version=${apiVersion}`
}

function noAnswer(code: string, message: string): ArmAnswer {
  return { status: 0, headers: {}, body: { code, message } }
}
