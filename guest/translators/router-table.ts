/**
 * The router's rules, as guest/router/table.c reads them: lines of words, the first says what the line is about.
 *
 *     rosetta-vm-router 1
 *     translator <name> <row of the counters> box64|qemu|plain glibc|any <ISA level> <program>
 *     env <translator> NAME=value             set where it is absent
 *     without-cache <translator> NAME=value   set in programs that are kept from the cache
 *     settled <translator> NAME=value         set, for what all get, in programs that have run a few times
 *     deny <translator or "cache"> <build-id or -> <path of a program, or nothing>
 *                                             of the user's list, and what a translator is known to fail with
 *     end
 *
 * The first translator is the default; the others follow in the order in which they are tried.
 */
import type { TranslatorName } from '../protocol.ts';
import type { DenyRow } from '../translation-protocol.ts';
import type { Start } from './translator.ts';

export interface RoutedTranslator {
  readonly name: TranslatorName;
  readonly program: string;
  readonly start: Extract<Start, { by: 'router' }>;
  readonly env: Readonly<Record<string, string>>;
  readonly settledEnv?: Readonly<Record<string, string>>;
}

/** Row of the counters' page, by translator: a fixed one, so that a switch of translators does not mix them. */
export const COUNTER_ROWS: Readonly<Record<TranslatorName, number>> = { box64: 0, qemu: 1, rosetta: 2 };

/** The whole file. Values and paths must not contain line ends. */
export function routerTable(translators: readonly RoutedTranslator[], denied: readonly DenyRow[]): string {
  const assignments = (word: string, name: string, env: Readonly<Record<string, string>>): string[] =>
    Object.entries(env).map(([variable, value]) => `${word} ${name} ${variable}=${value}`);
  const lines = [
    'rosetta-vm-router 1',
    ...translators.map(
      ({ name, program, start: { calling, libc, isaLevel } }) =>
        `translator ${name} ${COUNTER_ROWS[name]} ${calling} ${libc} ${isaLevel} ${program}`,
    ),
    ...translators.flatMap(({ name, env, settledEnv = {}, start }) => [
      ...assignments('env', name, env),
      ...assignments('settled', name, settledEnv),
      ...assignments('without-cache', name, start.withoutCache),
    ]),
    ...translators.flatMap(({ name, start }) => (start.failsWith ?? []).map((program) => `deny ${name} - ${program}`)),
    ...denied.map(({ from, buildId = '-', program = '' }) => `deny ${from} ${buildId} ${program}`),
    'end',
  ];
  return `${lines.join('\n')}\n`;
}
