/** What `bench` says of sessions that were measured before, to people and by its exit status. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { appendSession } from '../../../../benchmarks/history/append.ts';
import type { Session } from '../../../../benchmarks/session.ts';
import { commandLine, parts } from '../../cli/command-line.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import {
  commitOf,
  commitOfDay,
  fingerprint,
  makeHistory,
  makeSession,
  NATIVE,
  OFF,
  WARM,
} from '../session-fixtures.ts';

const bench = commandLine('benchmarks/bench/main.ts');

const small = (seed: number, factor = 1, changes: Partial<Session> = {}): Session =>
  makeSession(
    {
      ...{ id: `s${seed}`, seed, runs: 12, noise: 0.005, benchmarks: ['exec/sh-true'], arms: [OFF, WARM, NATIVE] },
      factor: (_name, arm) => (arm === WARM ? factor : 1),
    },
    changes,
  );

async function files(sessions: Readonly<Record<string, Session>>): Promise<string> {
  const home = await temporaryFolder();
  for (const [name, session] of Object.entries(sessions)) {
    await writeFile(path.join(home, `${name}.json`), JSON.stringify(session));
  }
  return home;
}

const run = (home: string, ...args: string[]) => bench.run(args, { home });

describe('compare', () => {
  const base = small(1);
  const failed = { suite: 'exec', benchmark: 'sh-true', arm: WARM, reason: 'exit status 139' };
  test.each([
    ['equal programs', small(2), 0, /^No regression by time and counts/m],
    ['one arm slower', small(2, 1.2), 7, /sh-true +cache=warm,translator=box64 .* slower$/m],
    ['a change that two sessions may have', small(2, 1.07), 8, /bench calibrate --sessions 5/],
    ['a broken arm', small(2, 1, { rejected: [failed] }), 9, / broken$/m],
    ['another machine', small(2, 1, { fingerprint: { ...fingerprint, cpus: 8 } }), 10, /CPUs of the guest: 2, 8/],
    ['a partial session', small(2, 1, { state: 'partial', reason: 'Stopped.' }), 10, /is partial: Stopped\./],
  ])('%s', async (_what, change, status, says) => {
    const home = await files({ base, change });
    const outcome = await run(home, 'compare', 'base.json', 'change.json');
    expect(outcome.status, outcome.stderr).toBe(status);
    expect(outcome.stdout.replaceAll(/\s*\n {2,}/g, ' ')).toMatch(says);
  });

  test('looks once: six against six prove what four looks would not', async () => {
    const runs = (session: Session): Session => ({
      ...session,
      measurements: session.measurements.map(({ values, rounds, counts, ...one }) => ({
        ...{ ...one, values: values.slice(0, 6), rounds: rounds.slice(0, 6), counts: counts.slice(0, 6) },
      })),
    });
    // Two rows: 2 · 0.0022 is below 0.01, 4 · 2 · 0.0022 is not.
    const alone = (session: Session): Session => ({ ...session, measurements: session.measurements.slice(0, 2) });
    const home = await files({ base: alone(runs(base)), change: alone(runs(small(2, 1.2))) });
    expect((await run(home, 'compare', 'base.json', 'change.json')).status).toBe(7);
  });

  test('takes its gate, and what may differ, from flags', async () => {
    const home = await files({
      base,
      change: small(2, 1.2, { fingerprint: { ...fingerprint, image: 'b'.repeat(16) } }),
    });
    const args = ['compare', 'base.json', 'change.json', '--accept', 'image'];
    expect((await run(home, ...args)).status).toBe(7);
    expect((await run(home, ...args, '--gate', 'counts', '--markdown', 'comment.md')).status).toBe(0);
    expect(await readFile(path.join(home, 'comment.md'), 'utf8')).toMatch(/^<!-- rosetta-vm bench -->\n/);
    const wrong = await run(home, 'compare', 'base.json', 'change.json', '--accept', 'imgae');
    expect(wrong.status).toBe(2);
    expect(parts(wrong).fix).toBe('Did you mean "image"?');
    expect((await run(home, 'compare', 'base.json', 'none.json')).status).toBe(3);
    const [comparison] = JSON.parse((await run(home, ...args, '--json')).stdout);
    expect(comparison).toMatchObject({ outcome: 'regression', accepted: [expect.stringMatching(/^guest image/)] });
  });

  test('knows from the history how far sessions differ', async () => {
    const home = await files({ base, change: small(2, 1.07) });
    const history = path.join(home, 'bench/history.jsonl');
    await mkdir(path.dirname(history));
    for (const [index, seed] of [11, 12, 13, 14, 15, 16].entries()) {
      await appendSession(history, small(seed, 1 + index / 1000));
    }
    expect((await run(home, 'compare', 'base.json', 'change.json')).status).toBe(7);
  });
});

describe('history', () => {
  async function recorded(level: (index: number) => number, length = 20) {
    const home = await temporaryFolder();
    const sessions = makeHistory(length, level).map((one) => ({
      ...one,
      measurements: one.measurements.filter(({ benchmark, arm }) => benchmark === 'gcc-hello' && arm === WARM),
    }));
    for (const session of sessions) await appendSession(path.join(home, 'h.jsonl'), session);
    return { home, sessions };
  }
  const OF = ['history', '--history', 'h.jsonl'];

  test('finds a change, until it is acknowledged', async () => {
    const { home, sessions } = await recorded((index) => (index >= 12 ? 1.2 : 1));
    const found = await run(home, ...OF);
    expect(found.status, found.stderr).toBe(7);
    expect(found.stdout).toMatch(/^open {2}compile\/gcc-hello cache=warm,translator=box64/m);
    const range = [11, 12].map((day) => commitOfDay(day).id.slice(0, 10)).join('..');
    expect(found.stdout).toContain(`session ${sessions[12]?.id}; look at: ${range}`);
    const wrong = await run(home, 'history', 'ack', 'none', '--reason', 'gcc 15', '--history', 'h.jsonl');
    expect(wrong.status).toBe(3);
    const ack = ['history', 'ack', sessions[12]?.id ?? '', '--reason', 'gcc 15', '--history', 'h.jsonl'];
    const said = await run(home, ...ack);
    expect(said).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^acknowledged {2}compile\/gcc-hello cache=warm/),
    });
    const quiet = await run(home, ...OF);
    expect(quiet.status).toBe(0);
    expect(quiet.stdout).toContain('acknowledged: gcc 15');
  });

  test('is inconclusive while it is short, and broken while there is none', async () => {
    const { home } = await recorded(() => 1, 3);
    expect((await run(home, ...OF)).status).toBe(8);
    const none = await run(home, 'history', '--history', 'none.jsonl');
    expect(none).toMatchObject({ status: 9, stderr: 'There is no file none.jsonl.\n' });
  });

  test('refuses a field that no machine has', async () => {
    const outcome = await run(await temporaryFolder(), 'history', '--accept', 'imagee');
    expect(outcome.status).toBe(2);
    expect(parts(outcome).fix).toBe('Did you mean "image"?');
  });
});

describe('a file that cannot be used', () => {
  test.each([
    ['history', '--history', 'folder'],
    ['history', 'ack', 's1', '--reason', 'it', '--history', 'folder'],
    ['compare', 'one.json', 'two.json', '--history', 'folder'],
    ['compare', 'one.json', 'two.json', '--markdown', 'folder'],
    ['compare', 'one.json', 'two.json', '--markdown', 'one.json/comment.md'],
    ['report', 'one.json', '--out', 'folder'],
    ['report', 'one.json', '--out', 'missing/report.html'],
    ['report', '--format', 'readme', '--out', 'missing.md'],
    ['run', '--benchmark', 'agent-latency', '--history', 'folder'],
    ['calibrate', '--benchmark', 'agent-latency', '--history', 'folder'],
  ])('is the user’s to name anew: %s %s %s', async (...args) => {
    const home = await files({ one: small(1), two: small(2) });
    await mkdir(path.join(home, 'folder'));
    const outcome = await run(home, ...args);
    expect(outcome.status, outcome.stderr).toBe(2);
    expect(parts(outcome)).toMatchObject({ what: expect.stringMatching(/^The file .+ cannot be used\.$/) });
  });
});

describe('report', () => {
  test('is a file without an address, made of the newest session', async () => {
    const home = await temporaryFolder();
    expect((await run(home, 'report')).status).toBe(3);
    const folder = path.join(home, 'bench/sessions');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, '20261101-a.json'), JSON.stringify(small(1)));
    await writeFile(path.join(folder, '20261102-b.json'), JSON.stringify(small(2, 1.2, { commit: commitOf('b') })));
    const outcome = await run(home, 'report', '--base', path.join(folder, '20261101-a.json'));
    expect(outcome.status, outcome.stderr).toBe(0);
    const page = await readFile(path.join(home, 'report.html'), 'utf8');
    expect(page.replaceAll(/xmlns(:\w+)?="[^"]*"/g, '')).not.toMatch(/(https?|ftp|file):|\bsrc=|<link|@import|url\(/i);
    expect(page).toContain('bbbbbbbbbb');
    expect(page).toContain('Regression');
  });

  test('is made of a session by its id, and against one that differs in what is accepted', async () => {
    const home = await temporaryFolder();
    const folder = path.join(home, 'bench/sessions');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 's1.json'), JSON.stringify(small(1)));
    const image = { ...fingerprint, image: 'f'.repeat(16) };
    await writeFile(path.join(folder, 's2.json'), JSON.stringify(small(2, 1, { fingerprint: image })));
    const outcomeWith = async (...accept: string[]) => {
      const { status, stdout, stderr } = await run(home, 'report', 's2', '--base', 's1', '--json', ...accept);
      expect(status, stderr).toBe(0);
      return JSON.parse(stdout).comparison.outcome;
    };
    expect(await outcomeWith()).toBe('not-comparable');
    expect(await outcomeWith('--accept', 'image')).toBe('ok');
  });

  test('is Markdown, JSON or the README’s table when that is asked for', async () => {
    const home = await files({ one: small(1) });
    expect((await run(home, 'report', 'one.json', '--format', 'markdown')).stdout).toMatch(/^## Benchmarks of/);
    expect(JSON.parse((await run(home, 'report', 'one.json', '--json')).stdout)).toMatchObject({
      kind: 'rosetta-vm-bench-report',
    });
    await writeFile(path.join(home, 'R.md'), '<!-- bench:begin -->\nold\n<!-- bench:end -->\n');
    const args = ['report', home, '--format', 'readme', '--out', 'R.md'];
    expect((await run(home, ...args)).status).toBe(0);
    expect(await readFile(path.join(home, 'R.md'), 'utf8')).toMatch(/^<!-- bench:begin -->\n\| benchmark/);
  });
});
