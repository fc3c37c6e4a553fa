/** Control data: paragraphs of `Field: value` lines (Debian Policy 5.1, deb822(5)). */
import { RosettaVmError } from '../../host/errors.ts';

/** One paragraph; keys are lower-case, since field names are not case-sensitive (Policy 5.1). */
export type Paragraph = ReadonlyMap<string, string>;

/** Longest document that {@link parseControl} takes, in characters: Debian's largest InRelease is below 400 kB. */
const MAX_CHARACTERS = 16 * 1024 * 1024;

/**
 * Parses a whole document. Continuation lines begin with a space or a tab and keep their line breaks; a line of
 * spaces and a dot stands for an empty line; `#` in the first column begins a comment.
 * Throws `E_INVALID` on anything else.
 */
export function parseControl(text: string): Paragraph[] {
  if (text.length > MAX_CHARACTERS) throw invalid(`it has ${text.length} characters, the limit is ${MAX_CHARACTERS}`);
  const paragraphs: Paragraph[] = [];
  let fields = new Map<string, string>();
  let last: string | null = null;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      if (fields.size > 0) paragraphs.push(fields);
      fields = new Map();
      last = null;
      continue;
    }
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (last === null) throw invalid(`a continuation line stands before any field: ${excerpt(line)}`);
      const continued = line.trim() === '.' ? '' : line.trim();
      fields.set(last, `${fields.get(last) ?? ''}\n${continued}`);
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    // Policy 5.1: US-ASCII without control characters, space and colon, not beginning with # or -.
    if (colon < 1 || !/^[!"$-,.-9;-~][!-9;-~]*$/.test(name)) throw invalid(`no field name: ${excerpt(line)}`);
    if (fields.has(name)) throw invalid(`the field ${name} stands twice in one paragraph`);
    fields.set(name, line.slice(colon + 1).trim());
    last = name;
  }
  if (fields.size > 0) paragraphs.push(fields);
  return paragraphs;
}

function excerpt(line: string): string {
  return JSON.stringify(line.slice(0, 60));
}

function invalid(why: string): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: 'A Debian control file could not be read.',
    why: `It does not have the documented form: ${why}.`,
    fix: 'Try again with another mirror (`--mirror`).',
  });
}
