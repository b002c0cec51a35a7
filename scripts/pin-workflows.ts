import { globSync, readFileSync, writeFileSync } from 'node:fs'

/**
 * A reusable workflow with the actions of its own repository named by commit: `uses: $/report` becomes
 * `uses: OWNER/NAME/report@<sha> # v1.2.3`. GitHub.com resolves the short form to the repository and the commit of the workflow
 * itself; GitHub Enterprise Server and nektos/act don't know it.
 */
export function pinOwnActions(workflow: string, repository: string, sha: string, version: string): string {
  return workflow.replaceAll(/(?<=^\s*(?:- )?uses: )\$\/(\S*)$/gm, (_, path: string) => {
    return `${[repository, path].filter((part) => part !== '').join('/')}@${sha} # ${version}`
  })
}

const USAGE = 'node scripts/pin-workflows.ts <OWNER/NAME> <full commit id> <version, such as v1.2.3>'

/** Pins the reusable workflows of the working tree, for a mirror on GitHub Enterprise Server. */
function main([repository = '', sha = '', version = '']: readonly string[]): void {
  if (!/^[\w.-]+\/[\w.-]+$/.test(repository) || !/^[0-9a-f]{40}$/.test(sha) || !/^v\d+\.\d+\.\d+$/.test(version)) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  for (const path of globSync('.github/workflows/*.yml')) {
    const workflow = readFileSync(path, 'utf8')
    const pinned = pinOwnActions(workflow, repository, sha, version)
    if (pinned === workflow) continue
    writeFileSync(path, pinned)
    console.log(`Pinned ${path}.`)
  }
}

if (import.meta.main) main(process.argv.slice(2))
