import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { OUTCOME_EXIT_STATUS } from '../../../../benchmarks/compare/exit-status.ts';
import { COMMENT_MARKER } from '../../../../benchmarks/compare/pull-request.ts';
import { packageFile } from '../../../../host/package-root.ts';

const read = (file: string) => readFile(packageFile(file), 'utf8');

interface Action {
  readonly inputs: Readonly<Record<string, { readonly default?: string }>>;
  readonly runs: { readonly steps: readonly { readonly run: string; readonly env?: Record<string, string> }[] };
}

describe('the page about CI', () => {
  it('tells the exit statuses that there are', async () => {
    const rows = [...(await read('docs/CI.md')).matchAll(/^\| (\d+) \| ([a-z-]+) \|/gm)].map(([, status, outcome]) => [
      outcome,
      Number(status),
    ]);
    expect(Object.fromEntries(rows)).toEqual(OUTCOME_EXIT_STATUS);
  });

  it('tells the inputs of the action, with their defaults', async () => {
    const { inputs } = parse(await read('.github/actions/bench/action.yml')) as Action;
    const told = [...(await read('docs/CI.md')).matchAll(/^\| `([a-z]+)` \| (`[^`]+`|[^|]+) \|/gm)].map(
      ([, name = '', value = '']) => [name, value.replaceAll('`', '')] as const,
    );
    expect(told.map(([name]) => name)).toEqual(Object.keys(inputs));
    for (const [name, value] of told) {
      const real = inputs[name]?.default ?? '';
      if (real !== '' && !real.includes('${{')) expect(value).toBe(real);
    }
  });
});

describe('the action', () => {
  it('has scripts that bash understands, and puts no input into one', async () => {
    const { runs } = parse(await read('.github/actions/bench/action.yml')) as Action;
    for (const { run } of runs.steps) {
      expect(run).not.toContain('${{');
      await promisify(execFile)('bash', ['-n', '-c', run]);
    }
  });

  it('finds its own comment by the line with which one begins', async () => {
    expect(await read('.github/actions/bench/action.yml')).toContain(`startswith("${COMMENT_MARKER}")`);
  });
});
