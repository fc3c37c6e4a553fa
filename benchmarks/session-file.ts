/** Reading the files of sessions; benchmarks/session.ts says what is in them. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RosettaVmError } from '../host/errors.ts';
import { readBounded } from '../host/files.ts';
import { packageFile } from '../host/package-root.ts';
import { FIRST_SESSION_VERSION, SESSION_VERSION, type Session, sessionSchema } from './session.ts';

/** The project's own sessions. */
export const SESSIONS_FOLDER = 'benchmarks/results/sessions';

/** A full tier of 50 benchmarks in six arms with 40 samples each has about 4 MiB. */
const MAX_BYTES = 64 * 1024 * 1024;

const FIX = 'Name a file that `bench run` has written.';

/** Throws `E_NOT_FOUND`, or `E_INVALID` for what is no session of a version that this one reads. */
export async function readSession(file: string): Promise<Session> {
  const text = await readBounded(file, MAX_BYTES).catch((cause: unknown) => {
    throw invalid(file, cause instanceof Error ? cause.message : String(cause), cause);
  });
  if (text === null) {
    throw new RosettaVmError('E_NOT_FOUND', {
      what: `There is no session ${file}.`,
      why: 'There is no file of that name.',
      fix: FIX,
      facts: { file },
    });
  }
  return parseSession(text, file);
}

const versionSchema = z.object({ kind: z.literal('rosetta-vm-bench'), schemaVersion: z.number() });

/** `source` names the text in errors. Throws `E_INVALID`. */
export function parseSession(text: string, source: string): Session {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw invalid(source, `It is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  const head = versionSchema.safeParse(data);
  if (!head.success) throw invalid(source, 'It is JSON, but nothing that `bench run` has written.', head.error);
  const { schemaVersion } = head.data;
  if (schemaVersion !== FIRST_SESSION_VERSION && schemaVersion !== SESSION_VERSION) {
    throw new RosettaVmError('E_INVALID', {
      what: `The session ${source} cannot be read.`,
      why: `Its format is version ${schemaVersion}; this rosetta-vm reads versions ${FIRST_SESSION_VERSION} and ${SESSION_VERSION}.`,
      fix: 'Read it with the version of rosetta-vm that wrote it, or measure anew.',
      facts: { source, schemaVersion },
    });
  }
  const result = sessionSchema.safeParse(data);
  if (result.success) return result.data;
  throw invalid(source, z.prettifyError(result.error).split('\n').slice(0, 6).join('\n'), result.error);
}

/** Path of the newest session of a folder: their names begin with the date. Throws `E_NOT_FOUND`. */
export async function newestSession(folder = packageFile(SESSIONS_FOLDER)): Promise<string> {
  const newest = (await sessionFiles(folder)).at(-1);
  if (newest !== undefined) return newest;
  throw new RosettaVmError('E_NOT_FOUND', {
    what: 'There is no session yet.',
    why: `${folder} has no JSON file.`,
    fix: 'Measure one with `bench run`.',
    facts: { folder },
  });
}

/** All sessions of a folder that were measured to their end, oldest first. Throws as {@link readSession}. */
export async function wholeSessions(folder = packageFile(SESSIONS_FOLDER)): Promise<Session[]> {
  const sessions = await Promise.all((await sessionFiles(folder)).map(readSession));
  return sessions.filter(({ state }) => state === 'complete');
}

const sessionFiles = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch(() => []))
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => path.join(folder, name));

function invalid(source: string, why: string, cause: unknown): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: `${source} is not a session of benchmarks.`,
    why,
    fix: FIX,
    facts: { source },
    cause,
  });
}
