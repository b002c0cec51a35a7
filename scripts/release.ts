import { execFileSync } from 'node:child_process'
import { appendFileSync, globSync, readFileSync } from 'node:fs'
import { readPublicName } from './public-name.ts'

/** The part of the changelog about one version, without its heading; undefined where there is none. */
export function changesOf(changelog: string, version: string): string | undefined {
  const sections = changelog.split(/^## /m).slice(1)
  const section = sections.find((text) => /^\[?([^\]\s]+)/.exec(text)?.[1] === version)
  return section?.slice(section.indexOf('\n')).trim()
}

/** Why a version can’t be released; empty when it can. `tags` are those that there are. */
export function obstacles(version: string, changelog: string, tags: readonly string[]): readonly string[] {
  const changes = changesOf(changelog, version)
  return [
    ...(/^\d+\.\d+\.\d+$/.test(version)
      ? []
      : [`package.json has the version “${version}”; a release has three numbers.`]),
    ...(tags.includes(`v${version}`) ? [`v${version} is released already: raise the version in package.json.`] : []),
    ...(changes === undefined || changes === '' ? [`CHANGELOG.md says nothing under “## [${version}]”.`] : [])
  ]
}

/** The text of a release: what changed, and the lines that pin exactly this. */
export function releaseNotes(changes: string, lines: readonly string[]): string {
  return `${changes}\n\n## Pin exactly this release\n\n\`\`\`yaml\n${lines.join('\n')}\n\`\`\`\n`
}

/** What a workflow can use of a commit. */
export function pinningLines(
  repository: string,
  workflows: readonly string[],
  sha: string,
  version: string
): readonly string[] {
  return [repository, ...workflows.map((path) => `${repository}/${path}`)].map(
    (target) => `uses: ${target}@${sha} # v${version}`
  )
}

function check(version: string, changelog: string): void {
  const tags = execFileSync('git', ['tag', '--list'], { encoding: 'utf8' }).split('\n')
  for (const obstacle of obstacles(version, changelog, tags)) {
    console.error(obstacle)
    process.exitCode = 1
  }
  const output = process.env['GITHUB_OUTPUT']
  if (output !== undefined) appendFileSync(output, `version=${version}\n`)
}

function notes(version: string, changelog: string, sha: string): void {
  const reusable = globSync('.github/workflows/*.yml').filter((path) =>
    readFileSync(path, 'utf8').includes('workflow_call:')
  )
  console.log(
    releaseNotes(changesOf(changelog, version) ?? '', pinningLines(readPublicName(), reusable.sort(), sha, version))
  )
}

if (import.meta.main) {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string }
  const changelog = readFileSync('CHANGELOG.md', 'utf8')
  const [command, sha] = process.argv.slice(2)
  if (command === 'check') check(version, changelog)
  else if (command === 'notes' && sha !== undefined) notes(version, changelog, sha)
  else {
    console.error('node scripts/release.ts check | notes <full commit id>')
    process.exitCode = 2
  }
}
