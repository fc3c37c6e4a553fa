/** Finding programs of the host and asking them something, each with a limit. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';

/** Where administrators' programs are; an ordinary user's PATH often lacks them. */
const ALSO = ['/usr/sbin', '/sbin'];
/** A page of help text is a few KiB. */
const MAX_OUTPUT_BYTES = 256 * 1024;

/** Absolute path of a program on PATH, or null. */
export async function findProgram(name: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const folders = [...(env.PATH ?? '').split(path.delimiter), ...ALSO].filter((folder) => path.isAbsolute(folder));
  return await firstExecutable(folders.map((folder) => path.join(folder, name)));
}

/** The first path that is an executable file, or null. */
export async function firstExecutable(paths: readonly string[]): Promise<string | null> {
  for (const candidate of paths) if (await isExecutable(candidate)) return candidate;
  return null;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

export interface ProgramAnswer {
  /** Exit status; null when it was killed (time limit) or could not be started. */
  readonly code: number | null;
  /** stdout, then stderr. */
  readonly output: string;
}

/** Runs a program to its end and keeps what it says; never rejects. It is killed after `limitMs`. */
export async function askProgram(argv: readonly string[], limitMs: number): Promise<ProgramAnswer> {
  const [program = '', ...rest] = argv;
  return await new Promise((resolve) => {
    execFile(
      program,
      rest,
      { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
        resolve({ code, output: stdout + stderr });
      },
    );
  });
}
