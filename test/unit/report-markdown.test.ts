import { expect, test } from '@jest/globals'
import { Marked } from 'marked'
import { alert, code, details, prose, table } from '../../src/report/markdown.ts'

/** What a reader sees: the rendered page without its elements. */
function html(markdown: string): string {
  return new Marked({ gfm: true }).parse(markdown, { async: false }).trim()
}

function visible(markdown: string): string {
  return html(markdown)
    .replace(/<[^>]*>/g, '')
    .replace(/&#(\d+);/g, (_, digits: string) => String.fromCharCode(Number(digits)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replaceAll('\u200b', '')
}

const NASTY = [
  'a | b || c',
  'one back`tick',
  '<script>alert(1)</script> <img src=x onerror=y>',
  '**bold** _it_ ~~gone~~ [link](/evil) ![image](x)',
  'back\\slash \\| pipe \\` tick \\',
  '&lt; &amp; &#124;',
  'ping @octo-org/team and @someone, see #123 and GH-7',
  '$formula$ and $$more$$',
  '<!-- comment -->'
]

test.each(NASTY)('prose shows %j as it is', (nasty) => {
  expect(visible(`x ${prose(nasty)}`)).toBe(`x ${nasty}`)
  expect(html(`x ${prose(nasty)}`)).not.toMatch(/<(?!\/?(p|span)>)/)
})

test.each([...NASTY, 'two `` ticks ` here', 'https://x.example'])('code shows %j as it is', (nasty) => {
  expect(visible(`x ${code(nasty)}`)).toBe(`x ${nasty}`)
  expect(html(`x ${code(nasty)}`)).not.toMatch(/<(?!\/?(p|span|code)>)/)
})

test.each(NASTY)('a table keeps its cells around %j', (nasty) => {
  const columns = [{ title: 'Secret' }, { title: 'Reason' }, { title: 'Count', numeric: true }]
  const rendered = html(table(columns, [[code(nasty), prose(nasty), '1']]))
  expect(rendered.match(/<td/g)).toHaveLength(3)
  expect(rendered).toContain('<td align="right">1</td>')
})

test('prose mentions nobody and refers to no issue', () => {
  expect(prose('@octo-org/team')).toBe('@\u200bocto-org/team')
  expect(prose('(@someone)')).toBe('(@\u200bsomeone)')
  expect(prose('octo/app#12')).toBe('octo/app#\u200b12')
  expect(prose('alice@contoso.com')).toBe('alice@contoso.com')
})

test('a dollar sign starts no formula', () => {
  expect(prose('$x$')).toBe('<span>$</span>x<span>$</span>')
})

test('prose keeps its lines, code does not', () => {
  expect(prose('one\n  two\r\nthree')).toBe('one<br>two<br>three')
  expect(code('one\ntwo')).toBe('`one two`')
  expect(code('  ')).toBe('')
})

test('prose takes backticks for code and nothing else for Markdown', () => {
  expect(prose('Use `az aks update -g <group>`, not *this*.')).toBe(
    'Use `az aks update -g <group>`, not &#42;this&#42;.'
  )
  expect(prose('one ` alone')).toBe('one &#96; alone')
  expect(prose('`a|b`')).toBe('<code>a&#124;b</code>')
})

test('prose links addresses, but not key ids', () => {
  expect(prose('See https://aka.ms/aks_pending-operation.')).toBe('See <https://aka.ms/aks_pending-operation>.')
  expect(prose('https://kv.vault.azure.net/keys/etcd/1a2b is disabled.')).toBe(
    '`https://kv.vault.azure.net/keys/etcd/1a2b` is disabled.'
  )
})

test('an alert keeps every line inside', () => {
  expect(alert('WARNING', 'one\n\ntwo')).toBe('> [!WARNING]\n> one\n>\n> two')
})

test('details leaves the blank line that Markdown inside needs', () => {
  expect(details('More', '- item')).toBe('<details>\n<summary>More</summary>\n\n- item\n\n</details>')
  expect(details('More', 'x', true)).toContain('<details open>')
})
