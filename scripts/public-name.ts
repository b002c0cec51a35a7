import { readFileSync } from 'node:fs'

/** `OWNER/NAME` of the public repository; package.json's `repository`, `github:OWNER/NAME`, is the one place that says it. */
export function readPublicName(): string {
  const { repository } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly repository: string }
  return repository.replace(/^github:/, '')
}
