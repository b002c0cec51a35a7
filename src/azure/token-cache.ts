import type { AccessToken, GetTokenOptions, TokenCredential } from '@azure/core-auth'

/** Ahead of its expiry by so much a token is asked anew, in milliseconds: longer than any one request takes. */
const MARGIN = 5 * 60_000

/**
 * Keeps tokens until shortly before they expire. The SDK has a cache of its own, but asks GitHub for an ID token before it
 * looks there, at every single request.
 */
export function withTokenCache(credential: TokenCredential, now: () => number = Date.now): TokenCredential {
  const kept = new Map<string, Promise<AccessToken | null>>()
  const ask = (key: string, scopes: string | string[], options: GetTokenOptions): Promise<AccessToken | null> => {
    const asked = credential.getToken(scopes, options)
    kept.set(key, asked)
    asked.catch(() => {
      if (kept.get(key) === asked) kept.delete(key)
    })
    return asked
  }
  return {
    async getToken(scopes, options = {}) {
      // Whoever sends claims was told that the token they had is no longer good.
      if (options.claims !== undefined) return await credential.getToken(scopes, options)
      const key = JSON.stringify([scopes, options.tenantId])
      const before = kept.get(key)
      const token = await before
      if (token !== undefined && token !== null && token.expiresOnTimestamp - now() > MARGIN) return token
      // Of those who wait for the same stale token the first asks, and the others wait with it.
      const present = kept.get(key)
      return await (present === undefined || present === before ? ask(key, scopes, options) : present)
    }
  }
}
