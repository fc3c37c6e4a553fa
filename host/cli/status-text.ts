/**
 * What a machine's state is in words; the same words in `up`, `status` and `list`. What the guest said of itself is made
 * printable here.
 */
import type { CacheStatus, EngineStatus, TranslatorStatus } from '../../guest/protocol.ts';
import type { CacheStats } from '../../guest/translation-protocol.ts';
import type { ProbeResult } from '../build/probe.ts';
import type { MachineStatus } from '../machine/machine.ts';
import { formatSize } from '../spec/units.ts';
import { count } from './format.ts';
import { printable } from './table.ts';

/** Which translator the kernel really starts, and whether that was proved by running a program. */
export function describeTranslator(translator: TranslatorStatus): string {
  const { active, wanted, state, reason, removedHandlers, fallbacks = [] } = translator;
  const lines: string[] = [];
  if (active === undefined) {
    lines.push(`${wanted}: ${state}${because(reason)}`);
  } else {
    const proof = active.proved ? 'proved by running an x86_64 program' : `not proved${because(reason)}`;
    lines.push(`${active.name} ${active.version}, ${proof}`);
    if (fallbacks.length > 0) {
      const others = fallbacks.map(({ name, version }) => `${name} ${version}`).join(', ');
      lines.push(`falls back to ${others}`);
    }
    if (active.name !== wanted) lines.push(`${wanted} was asked for${because(reason)}`);
  }
  if (removedHandlers.length > 0) lines.push(`removed other handlers: ${removedHandlers.join(', ')}`);
  return lines.map(printable).join('\n');
}

/** With `stats`, also how full it is. */
export function describeCache(cache: CacheStatus, stats: CacheStats | null = null): string {
  const state = printable(
    `${cache.state}${cache.backend === 'none' ? '' : ` (${cache.backend})`}${because(cache.reason)}`,
  );
  if (stats === null) return state;
  const { entries, bytes, limitBytes } = stats;
  return `${state}, ${count(entries, 'entry', 'entries')}, ${formatSize(bytes)} of ${formatSize(limitBytes)}`;
}

/** Docker's version and where it is reached. */
export function describeEngine({ state, version, restarts, reason }: EngineStatus, host?: string): string {
  if (state === 'off') return 'off';
  const again = restarts === 0 ? '' : `, started again ${count(restarts, 'time', 'times')}`;
  if (state !== 'ready') return printable(`${state}${because(reason)}${again}`);
  return printable(`${version ?? 'ready'}${host === undefined ? '' : ` at ${host}`}${again}`);
}

/** What a build's step found: `box64, with the cache, 0 entries new and 1 reused`. */
export function describeProbe({ translator, cache, entries }: ProbeResult): string {
  const found = entries === null ? '' : `, ${count(entries.new, 'entry', 'entries')} new and ${entries.reused} reused`;
  return `${translator ?? 'translated by what is not counted'}, ${cache ? 'with' : 'without'} the cache${found}`;
}

/** The translator's name for `list`: a question mark when it was not proved. */
export function shortTranslator({ translator, spec }: MachineStatus): string {
  if (translator?.active !== undefined) return `${translator.active.name}${translator.active.proved ? '' : '?'}`;
  if (translator !== null) return translator.state;
  return spec?.translator ?? '-';
}

export function shortCache({ cache, spec }: MachineStatus): string {
  if (cache !== null) return cache.state;
  return spec === null ? '-' : spec.cache.enabled ? 'on' : 'off';
}

function because(reason: string | undefined): string {
  return reason === undefined || reason === '' ? '' : ` (${reason})`;
}
