import fc from 'fast-check';
import { parseHTML } from 'linkedom';
import { beforeAll, describe, expect, it } from 'vitest';
import { fingerprintDigest } from '../../../../benchmarks/compare/fingerprint.ts';
import { linesOf } from '../../../../benchmarks/history/append.ts';
import { historyReport } from '../../../../benchmarks/history/changes.ts';
import { HISTORY_FORMAT, printLine } from '../../../../benchmarks/history/format.ts';
import { parseHistory } from '../../../../benchmarks/history/read.ts';
import { renderHtml } from '../../../../benchmarks/report/html.ts';
import { escapeHtml, html } from '../../../../benchmarks/report/html-text.ts';
import type { ReportInput } from '../../../../benchmarks/report/input.ts';
import { renderJson } from '../../../../benchmarks/report/json.ts';
import { renderMarkdown } from '../../../../benchmarks/report/markdown.ts';
import { sessionSchema } from '../../../../benchmarks/session.ts';
import { fingerprint, makeHistory, makeSession, NATIVE, OFF, WARM } from '../session-fixtures.ts';
import { fullInput } from './inputs.ts';

const alone = (session: ReportInput['session']): ReportInput => ({
  ...{ session, comparison: null, history: null },
  noiseFloor: () => null,
});

describe('the report as one file', () => {
  let input: ReportInput;
  let text: string;
  beforeAll(async () => {
    input = await fullInput();
    text = renderHtml(input);
  });

  it('has no script that runs and no address, and a policy that allows neither', () => {
    const { document } = parseHTML(text);
    expect(document.querySelector('meta[http-equiv=Content-Security-Policy]')?.getAttribute('content')).toMatch(
      /^default-src 'none'; style-src 'unsafe-inline'; img-src data:/,
    );
    const scripts = [...document.querySelectorAll('script')].map((one) => one.getAttribute('type'));
    expect(scripts).toEqual(['application/json']);
    expect(text.replaceAll(/xmlns(:\w+)?="[^"]*"/g, '')).not.toMatch(/(https?|ftp|file):|\bsrc=|<link|@import|url\(/i);
  });

  it('has its data inside, as the JSON report', () => {
    const { document } = parseHTML(text);
    const data = JSON.parse(document.getElementById('data')?.textContent ?? '');
    expect(data).toEqual(JSON.parse(renderJson(input)));
    expect(sessionSchema.parse(data.session)).toEqual(input.session);
    expect(data).toMatchObject({ schemaVersion: 1, kind: 'rosetta-vm-bench-report' });
  });

  it('shows each verdict, and says each in words', () => {
    const { document } = parseHTML(text);
    const words = document.querySelector('section[aria-labelledby=words]')?.textContent ?? '';
    expect(words).toContain('compile/gcc-hello, cache warm, box64 against the earlier session');
    expect(words).toContain('6 before, 7 now, in every sample.');
    expect(words).toMatch(/noise floor 1\.2 %/);
    const history = document.querySelector('section[aria-labelledby=history]')?.textContent ?? '';
    expect(history).toMatch(/the cost changed by \+12 %/);
    expect(history).not.toMatch(/lost|could not be read/);
  });

  it('boasts of nothing that no benchmark proves', () => {
    const tile = (runs: number) =>
      parseHTML(renderHtml(alone(makeSession({ arms: [OFF, WARM], runs })))).document.querySelector('.tile');
    expect(tile(12)?.className).toBe('tile good');
    expect(tile(12)?.textContent).toMatch(/^1\.\d\d× faster.*of 6 benchmarks$/);
    expect(tile(4)?.className).toBe('tile plain');
    expect(tile(4)?.textContent).toMatch(/no difference proved$/);
  });

  it('shows the history of its own machine before those of others', async () => {
    const other = { ...fingerprint, hostCpus: 8 };
    const own = makeHistory(2, () => 1).map((one) => ({ ...one, id: `${one.id}-own` }));
    const sessions = [...makeHistory(5, () => 1).map((one) => ({ ...one, fingerprint: other })), ...own];
    const lines = [
      ...[fingerprint, other].map((one) =>
        printLine({ format: HISTORY_FORMAT, line: 'fingerprint', digest: fingerprintDigest(one), fingerprint: one }),
      ),
      ...sessions.flatMap(linesOf).map(printLine),
    ];
    const session = own.at(-1) as ReportInput['session'];
    const history = historyReport(await parseHistory(lines.join('')), { now: Date.parse('2026-11-26T00:00:00Z') });
    const { document } = parseHTML(renderHtml({ ...alone(session), history }));
    const figures = [...document.querySelectorAll('section[aria-labelledby=history] figcaption')];
    const machines = figures.map((one) => /machine (\w+)/.exec(one.textContent ?? '')?.[1]);
    const digests = [...new Set(machines)];
    expect(digests).toEqual([fingerprint, other].map((one) => fingerprintDigest(one).slice(0, 8)));
    expect(machines).toEqual([...machines].sort((a, b) => digests.indexOf(a) - digests.indexOf(b)));
  });

  it('shows what was counted beside the time, and nothing where nothing was', () => {
    const counts = { execs: 6, cpuUserUsec: 1_500_000, memoryPeakBytes: 3 * 2 ** 20, writtenBytes: 0 };
    const shown = parseHTML(renderHtml(alone(makeSession({ arms: [WARM], runs: 3, counts: () => counts })))).document;
    const table = shown.querySelector('section[aria-labelledby=counters] table');
    const cells = (row: string) =>
      [...(table?.querySelectorAll(`${row} th, ${row} td`) ?? [])].map((one) => one.textContent);
    expect(cells('thead tr')).toEqual(['benchmark', 'arm', 'programs', 'CPU, user', 'memory', 'disk written']);
    expect(cells('tbody:nth-of-type(1) tr')).toEqual([
      'exec/sh-true',
      'cache warm, box64',
      '6',
      '1.50 s',
      '3 MiB',
      '0 B',
    ]);
    const session = makeSession({ arms: [WARM], runs: 2, benchmarks: ['exec/sh-true'] });
    const varying = session.measurements.map((one) => ({ ...one, counts: [{ execs: 6 }, { execs: 8 }] }));
    expect(renderHtml(alone({ ...session, measurements: varying }))).toContain('6 to 8');
    expect(renderHtml(alone(makeSession({ counts: () => ({}) })))).not.toContain('What the guest counted');
  });

  it('says that a session is partial, and what failed', () => {
    const rejected = [{ suite: 'exec', benchmark: 'sh-true', arm: NATIVE, reason: 'exit status 139' }];
    const partial = makeSession(
      { benchmarks: ['exec/sh-true'] },
      { state: 'partial', reason: 'The disk is full.', rejected },
    );
    for (const shown of [renderHtml(alone(partial)), renderMarkdown(alone(partial))]) {
      expect(shown).toMatch(/partial/i);
      expect(shown).toContain('The disk is full.');
    }
    expect(renderHtml(alone(partial))).toContain('exit status 139');
  });

  it('is made of whatever a session may hold', () => {
    const cases = [
      makeSession({ benchmarks: [] }),
      makeSession({ runs: 1 }),
      makeSession({ arms: [WARM] }),
      makeSession({ runs: 0, arms: [OFF, WARM] }, { results: [] }),
      makeSession({ commit: null }, { clockJumpMs: 7_200_000 }),
    ];
    const counted = makeSession({ arms: [OFF, WARM], runs: 3 });
    const zeros = counted.measurements.map((one) => ({
      ...one,
      unit: 'count' as const,
      values: one.values.map(() => 0),
    }));
    for (const session of [...cases, { ...counted, measurements: zeros }]) {
      const shown = renderHtml(alone(session));
      expect(shown).not.toMatch(/NaN|Infinity|undefined/);
      expect(renderMarkdown(alone(session))).not.toMatch(/NaN|Infinity|undefined/);
    }
    expect(renderHtml(alone(cases[4] as ReportInput['session']))).toContain('jumped by 7200.0 s');
  });

  it('cannot be broken by a name', () => {
    const name = `build/RUN </script><script>alert(1)</script>"' onload=x https://example.org <!--`;
    const hostile = makeSession({ benchmarks: [name], arms: [OFF, WARM, NATIVE] });
    const shown = renderHtml(alone(hostile));
    const { document } = parseHTML(shown);
    expect(document.querySelectorAll('script')).toHaveLength(1);
    expect(document.querySelector('[onload]')).toBeNull();
    expect(document.querySelector('tbody th')?.textContent).toBe(name);
    expect(JSON.parse(document.getElementById('data')?.textContent ?? '').session.measurements[0].benchmark).toBe(
      name.slice('build/'.length),
    );
  });
});

describe('HTML made of text', () => {
  it('shows any text as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const { document } = parseHTML(html`<p title="${text}">${text}</p>`.text);
        const shown = escapeHtml(text);
        expect(shown).not.toMatch(/[<>"']/);
        expect(document.querySelectorAll('*')).toHaveLength(1);
      }),
    );
  });

  it('keeps HTML that is HTML already, joins lists and drops null', () => {
    expect(html`<ul>${['<a>', 'b'].map((one) => html`<li>${one}</li>`)}${null}</ul>`.text).toBe(
      '<ul><li>&lt;a&gt;</li><li>b</li></ul>',
    );
  });
});
