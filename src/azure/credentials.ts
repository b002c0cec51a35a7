import type { AccessToken, TokenCredential } from '@azure/core-auth'
import { isRestError, type HttpClient, type PipelinePolicy } from '@azure/core-rest-pipeline'
import { AzureCliCredential, ClientAssertionCredential, ManagedIdentityCredential } from '@azure/identity'
import { ActionError } from '../errors.ts'
import type { CredentialChoice } from '../request.ts'
import type { Cloud } from './clouds.ts'
import { readClaims, type IdTokenClaims } from './federated-credential.ts'
import { orAborted, type Pause } from '../pause.ts'
import { errorCode, isTransientStatus, transientRetryPolicy } from './retry-policy.ts'
import { signInError } from './sign-in-errors.ts'
import { withTokenCache } from './token-cache.ts'
import { USER_AGENT } from './user-agent.ts'

/** Short enough that all attempts together are over before the ID token has expired. In milliseconds. */
const ATTEMPT_TIMEOUT = 15_000

export interface CredentialOptions {
  /** Asks GitHub for a new ID token. */
  readonly getIdToken: (audience: string) => Promise<string>
  readonly httpClient?: HttpClient
  readonly pause?: Pause
}

/** The credential of the run. Its `getToken` throws ActionError. */
export function createCredential(choice: CredentialChoice, cloud: Cloud, options: CredentialOptions): TokenCredential {
  switch (choice.kind) {
    case 'oidc':
      return withTokenCache(oidcCredential(choice, cloud, options))
    case 'azure-cli':
      return translated(
        new AzureCliCredential({
          additionallyAllowedTenants: ['*'],
          ...(choice.tenantId === undefined ? {} : { tenantId: choice.tenantId })
        }),
        (error) => signInError(error, { how: 'the Azure CLI' })
      )
    case 'managed-identity':
      return translated(
        choice.clientId === undefined
          ? new ManagedIdentityCredential()
          : new ManagedIdentityCredential({ clientId: choice.clientId }),
        (error) => signInError(error, { how: 'the managed identity of this machine', clientId: choice.clientId })
      )
    case 'none':
      return {
        getToken: () => Promise.reject(new Error('Azure was asked for something in a run on a kubeconfig alone.'))
      }
  }
}

/** GitHub's ID token lives five minutes and a run may last hours, so every exchange with Entra gets a new one. */
function oidcCredential(
  choice: Extract<CredentialChoice, { kind: 'oidc' }>,
  cloud: Cloud,
  { getIdToken, httpClient, ...retries }: CredentialOptions
): TokenCredential {
  // MSAL asks for the assertion twice an exchange; both times get the same one.
  let idToken: Promise<string> | undefined
  // The SDK keeps only the message of what goes wrong inside of it, so what is worth telling is kept here.
  let sent: IdTokenClaims | undefined
  let withoutIdToken: ActionError | undefined
  let outage: string | undefined

  const askGitHub = async (): Promise<string> => {
    try {
      const token = await getIdToken(cloud.audience)
      sent = readClaims(token)
      return token
    } catch (error) {
      withoutIdToken = new ActionError('oidc-unavailable', `GitHub gave no ID token: ${messageOf(error)}`)
      throw withoutIdToken
    }
  }
  const noteOutage: PipelinePolicy = {
    name: 'noteOutagePolicy',
    async sendRequest(request, next) {
      try {
        const response = await next(request)
        if (isTransientStatus(response.status)) outage = `HTTP status ${String(response.status)}`
        return response
      } catch (error) {
        const status = isRestError(error) ? error.response?.status : undefined
        outage = status === undefined ? (errorCode(error) ?? messageOf(error)) : `HTTP status ${String(status)}`
        throw error
      }
    }
  }
  const credential = new ClientAssertionCredential(choice.tenantId, choice.clientId, () => (idToken ??= askGitHub()), {
    authorityHost: cloud.authority,
    // Only the public clouds can be looked up at login.microsoftonline.com; the authority is configured, hence known.
    disableInstanceDiscovery: true,
    // A vault names its tenant by id in its challenge, and tenant-id may be a domain name.
    additionallyAllowedTenants: ['*'],
    userAgentOptions: { userAgentPrefix: USER_AGENT },
    retryOptions: { maxRetries: 0 },
    additionalPolicies: [
      { policy: noteOutage, position: 'perCall' },
      {
        policy: transientRetryPolicy({ mayRepeat: () => true, attemptTimeout: ATTEMPT_TIMEOUT, ...retries }),
        position: 'perRetry'
      }
    ],
    ...(httpClient === undefined ? {} : { httpClient })
  })
  return translated(
    {
      getToken(scopes, getTokenOptions) {
        idToken = withoutIdToken = outage = undefined
        return credential.getToken(scopes, getTokenOptions)
      }
    },
    (error) =>
      withoutIdToken ??
      signInError(error, { how: 'GitHub’s ID token', ...choice, authority: cloud.authority, sent, outage })
  )
}

function translated(credential: TokenCredential, translate: (error: unknown) => ActionError): TokenCredential {
  return {
    async getToken(scopes, options): Promise<AccessToken> {
      const signal = options?.abortSignal instanceof AbortSignal ? options.abortSignal : undefined
      let token: AccessToken | null
      try {
        // The SDK goes on to the end of its attempts.
        token = await orAborted(credential.getToken(scopes, options), signal)
      } catch (error) {
        signal?.throwIfAborted()
        throw translate(error)
      }
      if (token === null) throw translate(new Error('there was no token in the answer.'))
      return token
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
