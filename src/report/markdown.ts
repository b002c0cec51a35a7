/**
 * Pieces of GitHub Flavored Markdown. Whatever comes from outside passes through `code` or `prose`; the results may stand in a
 * paragraph, a list or a table cell alike.
 */

/** A code span; line breaks become blanks. */
export function code(value: string): string {
  const line = value.replace(/\p{Cc}+/gu, ' ').trim()
  if (line === '') return ''
  // A code span has no escapes, so that a backtick would end it and a pipe would end its table cell.
  return /[`|]/.test(line) ? `<code>${escape(line)}</code>` : `\`${line}\``
}

/**
 * Sentences in which backticks mark code, as in the catalogue of codes, and addresses are links. Nothing else in them is taken for
 * Markdown or HTML, and they mention nobody. Line breaks are kept.
 */
export function prose(value: string): string {
  return value
    .split(/(`[^`\n]+`|https?:\/\/[^\s`<>|"'“”’()]*[^\s`<>|"'“”’().,;:!?])/)
    .map((piece, i) => (i % 2 === 0 ? text(piece) : piece.startsWith('`') ? code(piece.slice(1, -1)) : address(piece)))
    .join('')
}

export interface Column {
  readonly title: string
  readonly numeric?: boolean
}

/** Cells are Markdown of one line each; a numeric one never wraps. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  return [
    row(columns.map(({ title }) => title)),
    row(columns.map(({ numeric }) => (numeric === true ? '--:' : ':--'))),
    ...rows.map((cells) =>
      row(cells.map((cell, i) => (columns[i]?.numeric === true ? cell.replaceAll(' ', NO_BREAK_SPACE) : cell)))
    )
  ].join('\n')
}

/** A block of code as it is; control characters but line feeds become blanks. */
export function fenced(language: string, text: string): string {
  const longest = Math.max(...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length), 2)
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text.replace(/[^\P{Cc}\n]+/gu, ' ')}\n${fence}`
}

/** A part that is folded in until somebody opens it. `title` is plain words of ours: Markdown does not reach into a `<summary>`. */
export function details(title: string, body: string, open = false): string {
  return `<details${open ? ' open' : ''}>\n<summary>${title}</summary>\n\n${body}\n\n</details>`
}

/** GitHub's coloured box. */
export function alert(kind: 'NOTE' | 'WARNING' | 'CAUTION', markdown: string): string {
  return [`[!${kind}]`, ...markdown.split('\n')].map((line) => `> ${line}`.trimEnd()).join('\n')
}

export function bold(markdown: string): string {
  return `**${markdown}**`
}

/** `label` is Markdown, `url` is trusted. */
export function link(label: string, url: string): string {
  return `[${label}](${url})`
}

const NO_BREAK_SPACE = '\u00a0'
const ZERO_WIDTH_SPACE = '\u200b'

function text(value: string): string {
  const inert = value.replace(/(?<!\w)@(?=\w)|#(?=\d)|\bGH-(?=\d)/gi, `$&${ZERO_WIDTH_SPACE}`)
  return escape(inert).replace(/\s*\n\s*/g, '<br>')
}

/** As entities, which Markdown never takes for structure. GitHub's own way to keep a dollar sign from starting a formula is a span. */
function escape(value: string): string {
  return value
    .replace(/[^\P{Cc}\n]+/gu, ' ')
    .replace(/[\\`*_[\]<>|~&]/g, (character) => `&#${String(character.charCodeAt(0))};`)
    .replaceAll('$', '<span>$</span>')
}

/** A key id as a link would only lead to a 401. */
function address(url: string): string {
  return url.includes('/keys/') ? code(url) : `<${url}>`
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
