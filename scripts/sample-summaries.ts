import { mkdirSync, writeFileSync } from 'node:fs'
import { fitSummary } from '../src/report/summary.ts'
import { SAMPLES } from '../test/fixtures/reports.ts'
import { STATUS_SAMPLES } from '../test/fixtures/statuses.ts'
import { renderPage } from './render-page.ts'

// Writes the summary of every sample report to out/summaries, as Markdown and as a page to look at.
const folder = new URL('../out/summaries/', import.meta.url)
mkdirSync(folder, { recursive: true })
for (const [name, sample] of Object.entries({ ...SAMPLES, ...STATUS_SAMPLES })) {
  const markdown = fitSummary(sample())
  writeFileSync(new URL(`${name}.md`, folder), markdown)
  writeFileSync(new URL(`${name}.html`, folder), renderPage(markdown, `${name} summary`))
  process.stdout.write(`out/summaries/${name}.html\n`)
}
