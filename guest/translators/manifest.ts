/** The translator share made by the image builder: finds a translator in its manifest. */
import { access, constants, readFile } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../../host/errors.ts';
import type { TranslatorShareManifest } from '../protocol.ts';
import type { FoundTranslator } from './translator.ts';

type Row = TranslatorShareManifest['translators'][number];

/** Finds `name` in `manifest.json`. Throws `E_NOT_FOUND` when it is not there, `E_INVALID` when the manifest is odd. */
export async function findInManifest(directory: string, name: Row['name']): Promise<FoundTranslator> {
  const file = path.join(directory, 'manifest.json');
  const row = parseRows(await readManifest(file), file).find((candidate) => candidate.name === name);
  if (row === undefined) throw notInShare(name, `${file} does not list it.`);
  const interpreter = path.join(directory, row.program);
  await access(interpreter, constants.X_OK).catch((error: Error) => {
    throw notInShare(name, error.message);
  });
  return { name, version: row.version, build: row.build, interpreter };
}

async function readManifest(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw notInShare('translators', error instanceof Error ? error.message : String(error));
  }
}

function parseRows(text: string, file: string): Row[] {
  try {
    const { schemaVersion, translators } = JSON.parse(text) as Partial<TranslatorShareManifest>;
    if (schemaVersion === 1 && Array.isArray(translators) && translators.every(isRow)) return [...translators];
  } catch {
    // Said below, as for any other content that is not a manifest.
  }
  throw new RosettaVmError('E_INVALID', {
    what: 'The manifest of the translator share is not valid.',
    why: `${file} does not have the documented shape.`,
    fix: 'Build the image again with `rosetta-vm image build`.',
    facts: { file },
  });
}

/** `build` becomes a folder's name and `program` a path below the share, so both are held to what they should be. */
function isRow(row: Partial<Row> | null): row is Row {
  return (
    typeof row?.name === 'string' &&
    typeof row.version === 'string' &&
    typeof row.program === 'string' &&
    /^[\w.+-]+(?:\/[\w.+-]+)*$/.test(row.program) &&
    !row.program.split('/').includes('..') &&
    typeof row.build === 'string' &&
    /^[0-9a-f]{16,64}$/.test(row.build)
  );
}

function notInShare(name: string, why: string): RosettaVmError {
  return new RosettaVmError('E_NOT_FOUND', {
    what: `The translator share has no ${name}.`,
    why,
    fix: 'Build the image again with `rosetta-vm image build`, or choose another translator.',
    facts: { translator: name },
  });
}
