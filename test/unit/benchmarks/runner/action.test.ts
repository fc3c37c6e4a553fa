/** The action's steps as GitHub runs them, with a `bench` and a `gh` that only pretend. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageFile } from '../../../../host/package-root.ts';
import { temporaryFolder } from '../../machine/temporary.ts';

interface Step {
  readonly name: string;
  readonly id?: string;
  readonly if?: string;
  readonly run: string;
  readonly env?: Readonly<Record<string, string>>;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly default?: string }>>;
  readonly runs: { readonly steps: readonly Step[] };
}

const ACTION = '.github/actions/bench/action.yml';

const action = async (): Promise<Action> => parse(await readFile(packageFile(ACTION), 'utf8')) as Action;

interface Outcome {
  /** Name and exit status of the last step that ran. */
  readonly last: readonly [name: string, status: number | null];
  /** How `bench` and `gh` were called. */
  readonly calls: readonly string[];
  readonly summary: string;
}

/** `measured` and `compared` are the exit statuses of `bench run` and `bench compare`. */
async function run(
  given: Readonly<Record<string, string>>,
  { measured = 0, compared = 0 }: { readonly measured?: number; readonly compared?: number } = {},
): Promise<Outcome> {
  const { inputs, runs } = await action();
  const folder = await temporaryFolder();
  const file = (name: string): string => path.join(folder, name);
  await mkdir(file('bin'));
  const bench = [
    '#!/bin/sh',
    `echo "bench $*" >> ${file('calls')}`,
    'take() { while [ $# -gt 0 ]; do [ "$1" != "$name" ] || echo "$2"; shift; done; }',
    'case $1 in',
    `run) name=--out; echo '{}' > "$(take "$@")"; exit ${measured} ;;`,
    `compare) name=--markdown; echo The comparison. > "$(take "$@")"; exit ${compared} ;;`,
    'esac',
  ].join('\n');
  await writeFile(file('bin/bench'), bench, { mode: 0o755 });
  await writeFile(file('bin/gh'), `#!/bin/sh\necho "gh $1 $2 $3" >> ${file('calls')}\n`, { mode: 0o755 });
  for (const name of ['calls', 'summary']) await writeFile(file(name), '');

  const known = new Map<string, string>(
    Object.entries(inputs).map(([name, { default: usual = '' }]) => [`inputs.${name}`, given[name] ?? usual]),
  );
  known.set('github.event.pull_request.number', '7').set('github.token', 'token').set('inputs.command', 'bench');
  const filled = (text: string): string =>
    text.replaceAll(/\$\{\{ ([\w.]+) \}\}/g, (_all, name: string) => known.get(name) ?? '');
  const holds = (condition: string): boolean =>
    condition.split(' && ').every((part) => {
      const [, name = '', comparison, wanted] = /^([\w.]+) (==|!=) '(.*)'$/.exec(part) ?? [];
      return ((known.get(name) ?? '') === wanted) === (comparison === '==');
    });

  let last: Outcome['last'] = ['', 0];
  for (const step of runs.steps) {
    if (step.if !== undefined && !holds(step.if)) continue;
    const output = file('output');
    await writeFile(output, '');
    const env = Object.fromEntries(Object.entries(step.env ?? {}).map(([name, text]) => [name, filled(text)]));
    const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run], {
      env: {
        ...{ PATH: `${file('bin')}:${process.env.PATH}`, RUNNER_TEMP: folder, GITHUB_REPOSITORY: 'o/r' },
        ...{ GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: file('summary'), ...env },
      },
      stdio: 'ignore',
    });
    const [status] = (await once(child, 'close')) as [number | null];
    for (const [, name = '', value = ''] of (await readFile(output, 'utf8')).matchAll(/^(\w+)=(.*)$/gm)) {
      known.set(`steps.${step.id}.outputs.${name}`, value);
    }
    last = [step.name, status];
    if (status !== 0) break;
  }
  const calls = (await readFile(file('calls'), 'utf8')).replaceAll(folder, '').split('\n').slice(0, -1);
  return { last, calls, summary: await readFile(file('summary'), 'utf8') };
}

describe('the action', () => {
  test('measures, compares, reports, comments and lets a good change pass', async () => {
    const { last, calls, summary } = await run({ base: 'base.json', suites: 'exec', accept: 'image,translators' });
    expect(last).toEqual(['Gate', 0]);
    expect(calls).toEqual([
      'bench run --tier quick --out /bench/session.json --suite exec',
      'bench compare --gate counts --markdown /bench/comment.md --accept image --accept translators base.json /bench/session.json',
      'bench report /bench/session.json --out /bench/report.html --base base.json --accept image --accept translators',
      'gh api repos/o/r/issues/7/comments --paginate',
      'gh api --method POST',
    ]);
    expect(summary).toBe('The comparison.\n');
  });

  test('a session in which something broke is reported and commented on, then it fails', async () => {
    const { last, calls } = await run({ base: 'base.json' }, { measured: 9 });
    expect(last).toEqual(['Gate', 9]);
    expect(calls.map((call) => call.split(' ').slice(0, 2).join(' '))).toEqual([
      ...['bench run', 'bench compare', 'bench report', 'gh api', 'gh api'],
    ]);
    expect((await run({}, { measured: 9 })).last).toEqual(['Gate', 9]);
  });

  test.each([
    ['what cannot be measured at all', { measured: 5 }, {}, ['Measure', 5]],
    ['a regression', { compared: 7 }, {}, ['Gate', 7]],
    ['an inconclusive comparison', { compared: 8 }, {}, ['Gate', 0]],
    ['one that must not be', { compared: 8 }, { inconclusive: 'fail' }, ['Gate', 8]],
    ['an inconclusive comparison of what broke', { compared: 8, measured: 9 }, {}, ['Gate', 9]],
  ])('%s', async (_what, statuses, inputs, last) => {
    expect((await run({ base: 'base.json', ...inputs }, statuses)).last).toEqual(last);
  });

  test('expands no list that may be empty: bash 3.2, which macOS has, takes that for an unset variable', async () => {
    for (const { run: script } of (await action()).runs.steps) expect(script).not.toMatch(/^\s*\w+=\(\)$/m);
  });

  test('of this repository compares across guest images, which a pull request may change', async () => {
    const workflow = parse(await readFile(packageFile('.github/workflows/bench.yml'), 'utf8')) as {
      readonly jobs: {
        readonly bench: { readonly steps: readonly { uses?: string; with?: Record<string, string> }[] };
      };
    };
    const own = workflow.jobs.bench.steps.find(({ uses }) => uses === './.github/actions/bench');
    expect(own?.with?.accept?.split(',')).toContain('image');
  });
});
