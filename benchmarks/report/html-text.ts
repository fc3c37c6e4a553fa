/** HTML that cannot be broken by what is put into it: every value is escaped, unless it is HTML already. */

export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Value = Html | string | number | null | readonly Value[];

/** Tag of a template: text is escaped for elements and for quoted attributes; lists are joined, null is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  const parts = strings.map((text, index) => text + (index < values.length ? render(values[index] ?? null) : ''));
  return new Html(parts.join(''));
}

function render(value: Value): string {
  if (value === null) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(render).join('');
  return escapeHtml(String(value));
}

/**
 * HTML Standard, "Serializing HTML fragments"; quotes too. What cannot be in a document (control characters) is shown as
 * a replacement character.
 */
export function escapeHtml(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to replace
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '\ufffd')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;')
  );
}

/** JSON for a script element that is only data: no `<` can end the element or begin a comment. */
export function dataScript(id: string, data: unknown): Html {
  const json = JSON.stringify(data).replaceAll('<', '\\u003c').replaceAll('://', ':\\u002f\\u002f');
  return new Html(`<script type="application/json" id="${escapeHtml(id)}">${json}</script>`);
}
