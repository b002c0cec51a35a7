import { expect, test } from '@jest/globals'
import { renderPage } from '../../scripts/render-page.ts'

test('alerts look as on GitHub, other quotes stay quotes', () => {
  const page = renderPage('> [!CAUTION]\n> **Broken** thing\n>\n> second\n\n> plain\n\n> [!UNKNOWN]\n> x', 'Summary')
  expect(page).toContain('<div class="markdown-alert markdown-alert-caution">')
  expect(page).toMatch(/Caution<\/p>\n<p><strong>Broken<\/strong> thing<\/p>\n<p>second<\/p>/)
  expect(page).toContain('<blockquote>\n<p>plain</p>')
  expect(page).toContain('[!UNKNOWN]')
})

test('tables and details are rendered', () => {
  const page = renderPage('<details>\n<summary>More</summary>\n\n| a |\n| --: |\n| 1 |\n\n</details>', 'Summary')
  expect(page).toContain('<td align="right">1</td>')
})

test('the title is text, and the page may run and load nothing', () => {
  const page = renderPage('x', '<b>"&')
  expect(page).toContain('<title>&lt;b&gt;&quot;&amp;</title>')
  expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  expect(page).toContain('prefers-color-scheme: dark')
})
