import { readFileSync } from 'node:fs'
import { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser'
import { ErrorPolicy } from '@actions/workflow-parser/model/convert'
import type { FileProvider } from '@actions/workflow-parser/workflows/file-provider'
import { describe, expect, test } from '@jest/globals'
import { readPublicName } from '../../scripts/public-name.ts'
import { CALLERS, EVERY, OWN, REUSABLE } from './workflow-files.ts'

/** This repository's reusable workflows, by which a caller's inputs and permissions are checked. */
const fileProvider: FileProvider = {
  async getFileContent(reference) {
    const path = 'repository' in reference ? reference.path : reference.path.replace(/^\.\//, '')
    return { name: path, content: readFileSync(path, 'utf8') }
  }
}

/** What GitHub's own parser says against a workflow. */
async function problemsOf(name: string, content: string): Promise<readonly string[]> {
  const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter())
  if (value !== undefined) {
    await convertWorkflowTemplate(context, value, fileProvider, {
      errorPolicy: ErrorPolicy.TryConversion,
      fetchReusableWorkflowDepth: 1
    })
  }
  return context.errors.getErrors().map(({ message }) => message)
}

test('there are workflows of every kind', () => {
  expect(REUSABLE).toHaveLength(4)
  expect(CALLERS).toHaveLength(4)
  expect(OWN.length).toBeGreaterThan(3)
})

describe('GitHub’s own parser', () => {
  test.each(EVERY)('has nothing against %s', async (path) => {
    expect(await problemsOf(path, readFileSync(path, 'utf8'))).toEqual([])
  })

  test('finds an input that the reusable workflow does not have, and one that is missing', async () => {
    const path = 'workflows/scheduled-rotation.yml'
    const wrong = readFileSync(path, 'utf8')
      .replace('max-key-age:', 'maximum-age:')
      .replace(/^ +client-id: .*\n/m, '')
    expect(await problemsOf(path, wrong)).toEqual([
      expect.stringContaining('Input client-id is required'),
      expect.stringContaining('maximum-age is not defined')
    ])
  })

  test('knows the public repository of this action', () => {
    for (const path of CALLERS) {
      expect(readFileSync(path, 'utf8')).toContain(`uses: ${readPublicName()}/.github/workflows/`)
    }
  })
})
