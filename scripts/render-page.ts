import { readFileSync } from 'node:fs'
import { Marked, type Tokens } from 'marked'

const STYLE = readFileSync(new URL('../node_modules/github-markdown-css/github-markdown.css', import.meta.url), 'utf8')

/**
 * A page that shows Markdown as GitHub shows a job's summary, in light or dark as the reader's system asks for. It needs no
 * network and runs no script.
 */
export function renderPage(markdown: string, title: string): string {
  const article = new Marked({ gfm: true, renderer: { blockquote: renderBlockquote } }).parse(markdown, {
    async: false
  })
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>
${STYLE}
${FRAME}
</style>
</head>
<body>
<section class="card">
<header>${escapeHtml(title)}</header>
<article class="markdown-body">
${article}</article>
</section>
</body>
</html>
`
}

const FRAME = `
body { margin: 0; padding: 24px; background: #f6f8fa; font-family: -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
.card { max-width: 1012px; margin: 0 auto; border: 1px solid #d1d9e0; border-radius: 6px; overflow: hidden; }
.card > header { padding: 12px 16px; border-bottom: 1px solid #d1d9e0; background: #fff; color: #59636e; font-size: 14px; }
.card > article { padding: 24px; }
@media (prefers-color-scheme: dark) {
  body { background: #010409; }
  .card, .card > header { border-color: #3d444d; }
  .card > header { background: #0d1117; color: #9198a1; }
}
`

/** The five alerts of GitHub, with an icon each. */
const ALERTS: Readonly<Record<string, { readonly title: string; readonly icon: string }>> = {
  NOTE: { title: 'Note', icon: '<circle cx="8" cy="8" r="7"/><path d="M8 7.2v4M8 4.6v.4"/>' },
  TIP: { title: 'Tip', icon: '<path d="M5.5 11c0-1.4-2-2.4-2-5a4.5 4.5 0 0 1 9 0c0 2.6-2 3.6-2 5zM6 14h4"/>' },
  IMPORTANT: { title: 'Important', icon: '<path d="M1.5 2.5h13v9h-7l-3 2.5v-2.5h-3zM8 5v2.4M8 9.3v.2"/>' },
  WARNING: { title: 'Warning', icon: '<path d="M8 1.7 15 14H1zM8 6.2v3.4M8 11.8v.2"/>' },
  CAUTION: { title: 'Caution', icon: '<path d="M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2zM8 4.5v4M8 11v.2"/>' }
}

function renderBlockquote(
  this: { readonly parser: { parse(tokens: Tokens.Generic[]): string } },
  quote: Tokens.Blockquote
): string {
  const body = this.parser.parse(quote.tokens)
  const [marker = '', kind = ''] = /^<p>\[!([A-Z]+)\]\s*/.exec(body) ?? []
  const alert = ALERTS[kind]
  if (alert === undefined) return `<blockquote>\n${body}</blockquote>\n`
  const icon = `<svg class="octicon mr-2" viewBox="0 0 16 16" width="16" height="16" style="fill: none; stroke: currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${alert.icon}</svg>`
  const rest = `<p>${body.slice(marker.length)}`.replace(/^<p><\/p>\s*/, '')
  return `<div class="markdown-alert markdown-alert-${kind.toLowerCase()}">\n<p class="markdown-alert-title">${icon}${alert.title}</p>\n${rest}</div>\n`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
