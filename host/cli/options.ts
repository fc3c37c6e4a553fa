/**
 * Arguments and flags that several commands share. The placeholder's name says what kind of value it is, and shell
 * completion goes by it (completion.ts): `machine`, `image`, `file`, `directory`.
 */
import { Argument, Option } from 'commander';
import { RosettaVmError } from '../errors.ts';
import { parseSize } from '../spec/units.ts';

/** As in spec/spec.ts, which is not loaded for this: it brings the whole schema library. */
const DEFAULT_MACHINE = 'default';

export const machineArgument = (): Argument => new Argument('<machine>', 'name of the machine');

export const optionalMachineArgument = (): Argument =>
  new Argument('[machine]', 'name of the machine').default(DEFAULT_MACHINE);

export const jsonOption = (): Option => new Option('--json', 'print an array of objects, for programs');

export const mirrorOption = (): Option =>
  new Option('--mirror <url>', 'Debian mirror to download from (default: the host’s own, then a public one)');

export const yesOption = (): Option => new Option('-y, --yes', 'do not ask');

export const sizeOption = (flags: string, description: string): Option => {
  const option = new Option(flags, description);
  return option.argParser((text) => parseSize(text, option.long ?? flags));
};

/** Parses a whole number within bounds. Throws `E_USAGE`. */
export const wholeNumber =
  (flag: string, min: number, max: number) =>
  (text: string): number => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new RosettaVmError('E_USAGE', {
      what: `${flag} cannot be ${JSON.stringify(text)}.`,
      why: `It is a whole number from ${min} to ${max}.`,
      fix: `Write it like ${flag} ${Math.max(min, Math.min(4, max))}, or leave it out.`,
      facts: { flag, value: text, min, max },
    });
  };

/** Collects `KEY=VALUE` flags; `KEY` alone takes the value of this process's environment, as `docker run --env` does. */
export function environmentPair(text: string, sofar: Record<string, string> = {}): Record<string, string> {
  const [, key, assignment] = /^([A-Za-z_][A-Za-z0-9_]*)(=[\s\S]*)?$/.exec(text) ?? [];
  if (key === undefined) {
    throw new RosettaVmError('E_USAGE', {
      what: `--env cannot be ${JSON.stringify(text)}.`,
      why: 'It is KEY=VALUE, or KEY alone to pass this shell’s value on; KEY has letters, digits and “_”.',
      fix: 'Write it like --env CC=gcc.',
      facts: { flag: '--env', value: text },
    });
  }
  const value = assignment?.slice(1) ?? process.env[key];
  return value === undefined ? sofar : { ...sofar, [key]: value };
}

/** Linux's largest valid id: (uid_t)-1 means "no change" (setresuid(2)). */
const MAX_ID = 2 ** 32 - 2;

/** Parses `UID` or `UID:GID`; the group is the user's number when it is left out. */
export function userAndGroup(text: string): { uid: number; gid: number } {
  const [uid = '', gid = uid, ...more] = text.split(':');
  if (more.length > 0) wholeNumber('--user', 0, MAX_ID)(text);
  return { uid: wholeNumber('--user', 0, MAX_ID)(uid), gid: wholeNumber('--user', 0, MAX_ID)(gid) };
}
