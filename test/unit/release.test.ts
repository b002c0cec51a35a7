import { describe, expect, test } from '@jest/globals'
import { pinOwnActions } from '../../scripts/pin-workflows.ts'
import { changesOf, obstacles, pinningLines, releaseNotes } from '../../scripts/release.ts'

const SHA = '0123456789abcdef0123456789abcdef01234567'

const CHANGELOG = `# Changelog

## [Unreleased]

## [1.2.0] - 2026-11-20

### Added

- Something.

## [1.1.0]

### Fixed

- Something else.
`

describe('the release', () => {
  test('is of the changes under its heading', () => {
    expect(changesOf(CHANGELOG, '1.2.0')).toBe('### Added\n\n- Something.')
    expect(changesOf(CHANGELOG, '1.1.0')).toBe('### Fixed\n\n- Something else.')
    expect(changesOf(CHANGELOG, 'Unreleased')).toBe('')
    expect(changesOf(CHANGELOG, '1.2')).toBeUndefined()
  })

  test('is refused without changes, a second time, and for half a version', () => {
    expect(obstacles('1.2.0', CHANGELOG, ['v1.1.0', 'v1'])).toEqual([])
    expect(obstacles('1.1.0', CHANGELOG, ['v1.1.0'])).toEqual([expect.stringContaining('released already')])
    expect(obstacles('1.3.0', CHANGELOG, [])).toEqual([expect.stringContaining('## [1.3.0]')])
    expect(obstacles('1.3', CHANGELOG, [])).toEqual([expect.stringContaining('three numbers'), expect.anything()])
  })

  test('says how to pin it', () => {
    const lines = pinningLines('octo/name', ['.github/workflows/rotate.yml'], SHA, '1.2.0')
    expect(releaseNotes('- Something.', lines)).toBe(`- Something.

## Pin exactly this release

\`\`\`yaml
uses: octo/name@${SHA} # v1.2.0
uses: octo/name/.github/workflows/rotate.yml@${SHA} # v1.2.0
\`\`\`
`)
  })
})

describe('pinning for a mirror', () => {
  const pin = (text: string): string => pinOwnActions(text, 'octo/name', SHA, 'v1.2.0')

  test('names the actions of this repository by commit', () => {
    expect(pin('    steps:\n      - uses: $/\n      - id: x\n        uses: $/report\n')).toBe(
      `    steps:\n      - uses: octo/name@${SHA} # v1.2.0\n      - id: x\n        uses: octo/name/report@${SHA} # v1.2.0\n`
    )
  })

  test('leaves everything else as it is', () => {
    const text =
      '      - uses: actions/checkout@v7\n      # as uses: $/ would\n        name: $/report\n      - run: "uses: $/"\n'
    expect(pin(text)).toBe(text)
  })

  test('pinned once is pinned', () => {
    expect(pin(pin('- uses: $/'))).toBe(pin('- uses: $/'))
  })
})
