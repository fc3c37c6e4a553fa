/** Asking before something is lost. */
import { createInterface } from 'node:readline/promises';
import { RosettaVmError } from '../errors.ts';

export interface Question {
  /** Without the `[y/N]`. */
  readonly text: string;
  /** What would be done, for the error: `delete the machine default`. */
  readonly action: string;
  /** The flag that answers yes beforehand. */
  readonly flag: string;
}

/**
 * Asks on the terminal (stderr, so that stdout stays data). True only for yes. Throws `E_CONFIRM` without a terminal,
 * an `AbortError` on Ctrl-C or when the terminal goes away.
 */
export async function confirm(question: Question): Promise<boolean> {
  if (!canAsk()) {
    throw new RosettaVmError('E_CONFIRM', {
      what: `rosetta-vm will not ${question.action} without being told so.`,
      why: 'What is removed cannot be brought back, and there is no terminal to ask on.',
      fix: `Add ${question.flag} when that is what you want.`,
      facts: { flag: question.flag },
    });
  }
  return await askYesNo(question.text);
}

/** Whether there is a terminal to ask on. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** For those who know that there is a terminal. True only for yes. Throws an `AbortError` as {@link confirm} does. */
export async function askYesNo(text: string): Promise<boolean> {
  const given = new AbortController();
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  terminal.once('SIGINT', () => given.abort());
  terminal.once('close', () => given.abort());
  try {
    const answer = await terminal.question(`${text} [y/N] `, { signal: given.signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}
