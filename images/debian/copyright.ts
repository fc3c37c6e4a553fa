/**
 * Machine-readable copyright files: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/. They are of a
 * source package: a binary package of it may hold less than they tell of.
 */
import { RosettaVmError } from '../../host/errors.ts';
import { type Paragraph, parseControl } from './control.ts';

/** Other versions may use the same names for other licences (§7.1). */
const FORMAT = /^https?:\/\/www\.debian\.org\/doc\/packaging-manuals\/copyright-format\/1\.0\/?$/;

/**
 * What the file's stanzas declare: each licence's short name or expression as it stands there, once, sorted. The text
 * of a licence is not looked at. Null when the file is of another form.
 */
export function declaredLicenses(text: string): string[] | null {
  const [header, ...stanzas] = paragraphs(text);
  if (header === undefined || !FORMAT.test(header.get('format') ?? '')) return null;
  const files = stanzas.filter((stanza) => stanza.has('files'));
  if (files.length === 0) return null;
  return [...new Set(files.map(synopsis))].sort();
}

/** The first line (§6.7); the others are the licence's text. */
const synopsis = (stanza: Paragraph): string => {
  const [first = ''] = (stanza.get('license') ?? '').split('\n', 1);
  return first.trim().replaceAll(/\s+/g, ' ') || 'unnamed';
};

/** None when the file, which people write by hand, is not even control data. */
function paragraphs(text: string): Paragraph[] {
  try {
    return parseControl(text);
  } catch (error) {
    if (error instanceof RosettaVmError && error.code === 'E_INVALID') return [];
    throw error;
  }
}
