/** The claims of GitHub's ID token that Entra compares, and those that its subject is made of. */
export interface IdTokenClaims {
  readonly issuer: string
  readonly subject: string
  readonly audience: string
  readonly repository: string | undefined
  readonly repositoryId: string | undefined
  readonly owner: string | undefined
  readonly ownerId: string | undefined
}

/** The claims of a JWT, unverified; undefined when the text is none. The token itself goes nowhere. */
export function readClaims(token: string): IdTokenClaims | undefined {
  let claims: unknown
  try {
    claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof claims !== 'object' || claims === null) return undefined
  const text = (name: string): string | undefined => {
    const value = (claims as Record<string, unknown>)[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    issuer: text('iss') ?? '',
    subject: text('sub') ?? '',
    audience: text('aud') ?? '',
    repository: text('repository'),
    repositoryId: text('repository_id'),
    owner: text('repository_owner'),
    ownerId: text('repository_owner_id')
  }
}

/**
 * The same subject in GitHub's two formats. Repositories made, renamed or transferred since 15 July 2026 send the immutable one.
 * Undefined where the organization has a subject of its own making.
 * Source: docs.github.com/actions/reference/security/oidc
 */
export function subjectFormats(
  claims: IdTokenClaims
): { readonly named: string; readonly immutable: string } | undefined {
  const context = /^repo:[^:/]+\/[^:/]+:(.+)$/.exec(claims.subject)?.[1]
  const { repository, repositoryId, owner, ownerId } = claims
  if (context === undefined || repository === undefined || repositoryId === undefined) return undefined
  if (owner === undefined || ownerId === undefined) return undefined
  const name = repository.slice(repository.indexOf('/') + 1)
  return {
    named: `repo:${owner}/${name}:${context}`,
    immutable: `repo:${owner}@${ownerId}/${name}@${repositoryId}:${context}`
  }
}

/** What was sent, and the commands that make Entra accept it. */
export function federatedCredentialAdvice(clientId: string, claims: IdTokenClaims): string {
  const formats = subjectFormats(claims)
  const other = formats === undefined ? undefined : claims.subject === formats.named ? formats.immutable : formats.named
  return [
    'GitHub’s ID token was sent with',
    `  subject:  ${claims.subject}`,
    `  audience: ${claims.audience}`,
    `  issuer:   ${claims.issuer}`,
    'Entra compares all three exactly, upper and lower case too. For an application, create the credential by',
    `  ${applicationCommand(clientId, claims, claims.subject)}`,
    'and for a user-assigned managed identity by',
    `  ${identityCommand(claims)}`,
    ...(other === undefined
      ? []
      : [
          'GitHub has two formats of the subject. This repository sent',
          `  ${claims.subject}   (sent)`,
          'and would, in the other format, send the following, for which a credential may be there from before:',
          `  ${other}   (not sent)`,
          `  ${applicationCommand(clientId, claims, other)}`
        ])
  ].join('\n')
}

function applicationCommand(clientId: string, claims: IdTokenClaims, subject: string): string {
  const parameters = { name: credentialName(subject), issuer: claims.issuer, subject, audiences: [claims.audience] }
  return `az ad app federated-credential create --id ${clientId} --parameters ${shellQuote(JSON.stringify(parameters))}`
}

function identityCommand(claims: IdTokenClaims): string {
  return [
    'az identity federated-credential create --identity-name <identity> --resource-group <resource group>',
    `--name ${credentialName(claims.subject)}`,
    `--issuer ${shellQuote(claims.issuer)}`,
    `--subject ${shellQuote(claims.subject)}`,
    `--audiences ${shellQuote(claims.audience)}`
  ].join(' ')
}

/** Entra takes 3 to 120 letters, digits, hyphens and underscores, a letter or digit first. */
function credentialName(subject: string): string {
  return `github-${subject.replace(/^repo:/, '').replace(/[^0-9A-Za-z]+/g, '-')}`.slice(0, 120).replace(/-$/, '')
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
