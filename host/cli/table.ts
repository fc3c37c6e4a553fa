/** The one place that lays out columns. Cells are plain text; what is not printable in them is made visible. */

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Colours a finished cell; padding is counted without it. */
  readonly paint?: (cell: string) => string;
}

const GAP = '  ';

/** A header and one line a row, each ending with a newline and without trailing blanks. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => columns.map((_, index) => printable(row[index] ?? '')));
  const widths = columns.map(({ title }, index) =>
    cells.reduce((width, row) => Math.max(width, (row[index] ?? '').length), title.length),
  );
  const line = (row: readonly string[], painted: boolean): string =>
    columns
      .map(({ align, paint }, index) => {
        const text = row[index] ?? '';
        const padding = ' '.repeat((widths[index] ?? 0) - text.length);
        const shown = painted && paint !== undefined ? paint(text) : text;
        return align === 'right' ? padding + shown : shown + padding;
      })
      .join(GAP)
      .trimEnd();
  const header = line(
    columns.map(({ title }) => title),
    false,
  );
  return [header, ...cells.map((row) => line(row, true))].map((text) => `${text}\n`).join('');
}

/** Names in one column, values in the next; a value's further lines are indented like its first. */
export function renderFields(
  fields: readonly (readonly [name: string, value: string])[],
  paintName: (name: string) => string = (name) => name,
): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields
    .map(([name, value]) => {
      const indent = ' '.repeat(width + 4);
      const lines = value.split('\n').map(printable);
      return `  ${paintName(name.padEnd(width))}  ${lines.join(`\n${indent}`)}\n`;
    })
    .join('');
}

/**
 * Breaks text at blanks so that no line is longer than `width` with its indentation, which all lines but the first get
 * here. A word that is longer, such as a path, stays whole. Line breaks of the text's own are kept.
 */
export function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && indent + line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === '' ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

/**
 * Names and messages come from the guest and from files: a control character in them must not drive the user's
 * terminal (ECMA-48: C0, DEL and C1).
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to replace
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    if (character === '\t') return ' ';
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
