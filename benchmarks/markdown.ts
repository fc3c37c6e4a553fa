/** Tables of GitHub Flavored Markdown (its specification, "Tables (extension)"). */

/**
 * The first `textColumns` columns are text, the others are numbers. Cells may hold Markdown of the caller's own: text
 * from outside goes through {@link markdownText} first.
 */
export function markdownTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  textColumns = 1,
): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = titles.map((_, index) => (index < textColumns ? '---' : '--:'));
  return [line(titles), line(rule), ...rows.map(line)].join('\n');
}

/** Text that Markdown shows as it is, on one line: no markup, no HTML, no mention, no link. */
export function markdownText(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/[\\`*_{}[\]#~]/g, '\\$&')
    .replaceAll('@', '@\u200b')
    .replace(/\b(https?|ftp):\/\//gi, '$1:\u200b//');
}
