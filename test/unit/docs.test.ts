import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, matchesGlob } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import jestConfig from '../../jest.config.ts'
import { between, documents, withPublicName } from '../../scripts/generate-docs.ts'
import { readPublicName } from '../../scripts/public-name.ts'
import { CATALOG } from '../../src/errors.ts'
import { OPERATIONS } from '../../src/model/operation.ts'

const README = readFileSync('README.md', 'utf8')
const PAGES = ['*.md', 'docs/**/*.md'].flatMap((pattern) => globSync(pattern))

function headings(markdown: string, level: number): readonly string[] {
  const prose = markdown.replaceAll(/^```.*?^```$/gms, '')
  return prose.split('\n').flatMap((line) => (line.startsWith(`${'#'.repeat(level)} `) ? [line.slice(level + 1)] : []))
}

/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

describe('documentation', () => {
  test('has a section for every code, and no other', () => {
    const sections = headings(readFileSync('docs/troubleshooting.md', 'utf8'), 2)
    expect(sections.toSorted()).toEqual(Object.keys(CATALOG).toSorted())
  })

  test('has a section for every operation', () => {
    expect(headings(readFileSync('docs/operations.md', 'utf8'), 2)).toEqual(expect.arrayContaining([...OPERATIONS]))
  })

  test('is as the generator writes it', async () => {
    for (const [path, text] of await documents()) expect([path, readFileSync(path, 'utf8')]).toEqual([path, text])
  })

  test('has two set-up commands', () => {
    const commands = README.split('\n').filter((line) => /^\s*(npm|npx|node) /.test(line))
    expect(commands).toEqual(['npm ci && npm run demo', 'npm ci && npm test'])
  })

  test('names the public repository', () => {
    expect(README).toContain(`uses: ${readPublicName()}@v1\n`)
    expect(README).toContain(`uses: ${readPublicName()}/.github/workflows/rotate.yml@v1\n`)
  })

  test.each(PAGES)('%s links to what is there', (page) => {
    const links = [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)]
    const broken = links.filter(([, path, fragment]) => {
      const target = path === undefined || path === '' ? page : join(dirname(page), path)
      if (!existsSync(target)) return true
      if (fragment === undefined) return false
      const text = readFileSync(target, 'utf8')
      return ![1, 2, 3, 4].flatMap((level) => headings(text, level).map(anchor)).includes(fragment)
    })
    expect(broken.map(([link]) => link)).toEqual([])
  })
})

describe('the generator', () => {
  test('spells the public repository in references to it alone', () => {
    const text = 'uses: old/name@v1, uses: actions/checkout@v7, https://github.com/old/name/issues, x/name'
    expect(withPublicName(text, 'new/name')).toBe(
      'uses: new/name@v1, uses: actions/checkout@v7, https://github.com/new/name/issues, x/name'
    )
  })

  test('writes between markers, and refuses where there are none', () => {
    expect(between('a <!-- start x -->old<!-- end x --> b', 'x', 'new')).toBe(
      'a <!-- start x -->\n\nnew\n\n<!-- end x --> b'
    )
    expect(() => between('a', 'x', 'new')).toThrow('markers')
  })
})

test('every test file is in one suite', () => {
  const patterns = jestConfig.projects.flatMap(({ testMatch }) =>
    testMatch.map((glob) => glob.replace('<rootDir>/', ''))
  )
  const stray = globSync('test/**/*.test.ts').filter(
    (file) => patterns.filter((pattern) => matchesGlob(file, pattern)).length !== 1
  )
  expect(stray).toEqual([])
})
