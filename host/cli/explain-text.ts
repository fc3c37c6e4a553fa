/** `build --explain`, in words: a table of steps, and what limits its numbers. */
import type { StepReport } from '../build/explain.ts';
import { formatSize } from '../spec/units.ts';
import { formatDuration } from './format.ts';
import { renderTable } from './table.ts';

const NAME_WIDTH = 60;

/** Steps that do nothing but prepare (`[internal] …`) are left out. */
export function renderExplanation(steps: readonly StepReport[]): string {
  const shown = steps.filter(({ name }) => !name.startsWith('[internal]'));
  const table = renderTable(
    [
      { title: 'STEP', align: 'right' },
      { title: 'TIME', align: 'right' },
      { title: 'TRANSLATOR' },
      { title: 'NEW ENTRIES', align: 'right' },
      { title: 'REUSED', align: 'right' },
      { title: 'WHAT' },
    ],
    shown.map((step) => [
      `${step.number}`,
      step.cached ? 'cached' : formatDuration(step.ms),
      translators(step),
      step.cache === null ? '-' : newEntries(step.cache),
      step.cache === null ? '-' : `${step.cache.reusedEntries}`,
      step.name.length > NAME_WIDTH ? `${step.name.slice(0, NAME_WIDTH - 1)}…` : step.name,
    ]),
  );
  const overlaps = shown.filter(({ overlaps }) => overlaps.length > 0).map(({ number }) => number);
  const limit =
    overlaps.length === 0
      ? ''
      : `Steps ${overlaps.join(', ')} ran at the same time: each of their rows counts what all of them did.\n`;
  return table + limit;
}

function translators({ translators, cached }: StepReport): string {
  if (cached || translators === null) return '-';
  if (translators.length === 0) return 'none: no x86_64 program ran';
  return translators.map(({ name, execs }) => `${name} (${execs}×)`).join(', ');
}

const newEntries = ({ newEntries, newBytes }: NonNullable<StepReport['cache']>): string =>
  newEntries === 0 ? '0' : `${newEntries}, ${formatSize(newBytes)}`;
