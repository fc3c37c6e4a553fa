import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Claim, NEEDS, noted } from '../../../host/dev/mac-check/claim.ts';
import { CLAIMS } from '../../../host/dev/mac-check/claims/index.ts';
import { renderReport } from '../../../host/dev/mac-check/report.ts';
import { type CheckRequest, checkClaims, type Outcome } from '../../../host/dev/mac-check/run.ts';
import { macReport } from '../../stand-in/vz-reports.ts';
import { type Answers, CLI, CONNECTED, DOCTOR, FOLDER, lines, refusal, SIGNED_NODE, standInMac } from './stand-in.ts';

interface Checked extends Outcome {
  readonly lines: readonly string[];
  readonly calls: ReturnType<typeof standInMac>['calls'];
  result(id: string): string;
  evidence(id: string): string;
}

async function checked(differences: Answers = [], over: Partial<CheckRequest> = {}): Promise<Checked> {
  const { run, calls } = standInMac(differences);
  const outcome = await checkClaims({
    claims: CLAIMS,
    folder: FOLDER,
    cli: CLI,
    addon: '/opt/rosetta-vm/vz.node',
    full: true,
    keep: false,
    run,
    env: { PATH: '/bin', NODE_OPTIONS: '--inspect', ROSETTA_VM_HOME: '/Users/ada/machines' },
    onClaim: () => {},
    ...over,
  });
  const verdictOf = (id: string) => outcome.checked.find(({ claim }) => claim.id === id)?.verdict;
  return {
    ...outcome,
    calls,
    lines: calls.map(({ line }) => line),
    result: (id) => verdictOf(id)?.result ?? 'not there',
    evidence: (id) => verdictOf(id)?.evidence ?? '',
  };
}

const answer = (value: object) => ({ stdout: JSON.stringify(value) });
const skips = ({ checked: all }: Outcome): string[] =>
  all.filter(({ verdict }) => verdict.result === 'skipped').map(({ claim }) => claim.id);
const OPTIONS = { home: '/Users/ada', date: '2026-11-26' };

describe('the claims', () => {
  test('each has an identifier of its own, and says what, whence and how', () => {
    expect(new Set(CLAIMS.map(({ id }) => id)).size).toBe(CLAIMS.length);
    for (const { id, claim, source, how, needs } of CLAIMS) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+)+$/);
      expect(claim, id).toMatch(/\.$/);
      expect(source, id).not.toBe('');
      expect(how, id).toMatch(/\S/);
      for (const need of needs) expect(NEEDS).toHaveProperty(need);
    }
  });

  test('are all in the documentation', async () => {
    const file = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../docs/MAC-CHECK.md');
    const text = await readFile(file, 'utf8');
    const listed = [...text.matchAll(/^- `(\w+(?:-\w+)+)` (.*)\n {2}Source: (.*)\.$/gm)].map((row) => row.slice(1));
    expect(listed).toEqual(CLAIMS.map(({ id, claim, source }) => [id, claim, source]));
  });
});

describe('a check', () => {
  test('of a Mac on which all is as hoped passes, but for what that Mac has not', async () => {
    const outcome = await checked();
    const bad = outcome.checked.filter(({ verdict }) => ['fail', 'unclear'].includes(verdict.result));
    expect(bad.map(({ claim, verdict }) => `${claim.id}: ${verdict.evidence}`)).toEqual([]);
    expect(skips(outcome)).toEqual([
      'signature-homebrew',
      'signature-without-tools',
      'framework-rosetta-built-in',
      ...CLAIMS.filter(({ needs }) => needs.includes('hands')).map(({ id }) => id),
    ]);
  });

  test('becomes this report', async () => {
    const outcome = await checked(
      [[/nslookup/, { exitCode: 1, stderr: ";; can't resolve 'debian.org' | `timeout`" }]],
      {
        full: false,
      },
    );
    const steady = { ...outcome, checked: outcome.checked.map((one) => ({ ...one, ms: 1500 })) };
    await expect(renderReport(steady, OPTIONS)).toMatchFileSnapshot('fixtures/report.md');
  });

  test('touches nothing of the user’s: everything runs with a state folder of its own, and without NODE_OPTIONS', async () => {
    const { calls } = await checked();
    for (const { options } of calls) {
      expect(options.env).toMatchObject({ ROSETTA_VM_HOME: FOLDER, PATH: '/bin' });
      expect(options.env).not.toHaveProperty('NODE_OPTIONS');
      expect(options.limitMs).toBeGreaterThan(0);
    }
  });

  test('goes on after a command that fails, hangs, or cannot even be started', async () => {
    const outcome = await checked([
      [/nslookup/, { exitCode: 1 }],
      [/date \+%s/, { exitCode: null, signal: 'SIGKILL', timedOut: true }],
      [
        /pkill -KILL/,
        () => {
          throw new Error('spawn EAGAIN');
        },
      ],
    ]);
    expect(outcome.result('machine-network')).toBe('fail');
    expect(outcome.result('machine-clock')).toBe('unclear');
    expect(outcome.result('rosetta-daemon-dies')).toBe('unclear');
    expect(outcome.evidence('rosetta-daemon-dies')).toContain('EAGAIN');
    expect(outcome.result('workload-dnf')).toBe('pass');
    expect(outcome.checked).toHaveLength(CLAIMS.length);
  });

  test('a judgement that itself fails is unclear and ends nothing', async () => {
    const broken: Claim = {
      id: 'a-b',
      claim: 'x.',
      source: 'x',
      how: 'x',
      needs: [],
      commands: () => [],
      judge: () => {
        throw new TypeError('undefined is not a function');
      },
    };
    const outcome = await checked([], { claims: [broken, { ...broken, id: 'c-d', judge: () => noted('y') }] });
    expect(outcome.result('a-b')).toBe('unclear');
    expect(outcome.result('c-d')).toBe('noted');
  });

  test('cleans up in the end, also when it is stopped, but not what is to be kept', async () => {
    const CLEAN_UP = ['down mac-check --force', 'delete mac-check --yes'];
    const tail = (lines: readonly string[]): string[] =>
      lines.slice(-2).map((line) => line.split(' ').slice(2).join(' '));
    expect(tail((await checked()).lines)).toEqual(CLEAN_UP);
    expect(tail((await checked([], { keep: true })).lines)).not.toEqual(CLEAN_UP);
    const given = new AbortController();
    const stopped = await checked([], {
      signal: given.signal,
      onClaim: ({ id }) => {
        if (id === 'machine-devices') given.abort();
      },
    });
    expect(tail(stopped.lines)).toEqual(CLEAN_UP);
    expect(stopped.result('machine-up')).toBe('pass');
    expect(stopped.result('machine-connections')).toBe('skipped');
    expect(stopped.evidence('machine-connections')).toContain('stopped');
  });

  test('without a signed copy skips what builds on it, says why, and has nothing to clean up', async () => {
    const rows = DOCTOR.map((one) =>
      one.id === 'signed-self-test' ? { ...one, status: 'missing', what: 'Killed', why: 'By the kernel.' } : one,
    );
    const outcome = await checked([[/doctor/, { exitCode: 5, stdout: JSON.stringify(rows) }]]);
    expect(outcome.result('signature-plain')).toBe('fail');
    expect(outcome.evidence('signature-plain')).toContain('By the kernel.');
    expect(outcome.result('machine-up')).toBe('skipped');
    expect(outcome.evidence('machine-up')).toContain('signature-plain');
    expect(outcome.lines.some((line) => line.includes('delete'))).toBe(false);
  });

  test('on a Linux-like host without any of the programs still ends with a report', async () => {
    const outcome = await checked([[/./, { exitCode: null, absent: true }]], { addon: null });
    expect(outcome.facts).toMatchObject({ macOS: 'unknown', appleSilicon: false, memoryGiB: null });
    expect(skips(outcome)).toHaveLength(CLAIMS.length);
    expect(renderReport(outcome, OPTIONS)).toContain('0 pass');
  });

  test('checks what a Mac has: Homebrew’s node, no Command Line Tools, macOS 27', async () => {
    const outcome = await checked([
      [/^\/opt\/homebrew\/bin\/node/, { stdout: '["25.2.1","arm64"]' }],
      [/xcode-select/, { exitCode: 2 }],
      [/sw_vers -productVersion/, { stdout: '27.0' }],
    ]);
    for (const id of ['signature-homebrew', 'signature-without-tools', 'framework-rosetta-built-in']) {
      expect(outcome.result(id), id).toBe('pass');
    }
    const homebrew = outcome.calls.filter(({ options }) => options.env.ROSETTA_VM_NODE !== undefined);
    expect(homebrew.map(({ line }) => line)).toEqual([`${CLI.join(' ')} doctor --fix --json`]);
    // One state folder keeps one copy.
    expect(homebrew.map(({ options }) => options.env.ROSETTA_VM_HOME)).toEqual([`${FOLDER}/homebrew`]);
  });
});

describe('a Mac that is otherwise than claimed is found out', () => {
  const cases: readonly [id: string, differences: Answers][] = [
    ['signature-validates', [[/rosetta-vm-host -e .*createMachine/s, { stdout: '{"code":2}' }]]],
    ['signature-needed', [[/^\/opt\/node\/bin\/node -e .*createMachine/s, { stdout: 'made' }]]],
    ['signature-hardened', [[/rosetta-vm-host-hardened/, { exitCode: null, signal: 'SIGKILL' }]]],
    ['framework-refusals', [[/\/nowhere\/vmlinuz/, { exitCode: null, signal: 'SIGTRAP' }]]],
    ['framework-refusals', [[/not a url/, { stdout: 'made' }]]],
    ['framework-refusals', [[/not a url/, { stdout: '{"thrown":"TypeError"}' }]]],
    ['framework-refusals', [[/odd\.raw"/, answer(refusal('VZErrorDomain', 2, 'disks[0]'))]]],
    ['framework-refusals', [[/"hello"/, answer(refusal('NSException', 0, 'network.MACAddress'))]]],
    ['framework-refusals', [[/"nbd:\/\/"/, answer(refusal('VZErrorDomain', 2))]]],
    ['framework-macos-version', [[/node:os/, { stdout: '26.1.0' }]]],
    ['framework-macos-version', [[/hostReport/, answer({ ...macReport(16, 1) })]]],
    ['framework-macos-version', [[/sw_vers -productVersion/, { stdout: '26.2' }]]],
    ['framework-worker', [[/worker_threads/, { exitCode: null, signal: 'SIGABRT' }]]],
    ['framework-devices', [[/"bus":"usb"/, { stdout: '{"code":2}' }]]],
    ['machine-up', [[/ up mac-check/, { exitCode: 1, stderr: 'Invalid configuration' }]]],
    ['machine-connections', [[/for i in/, { stdout: 'number-1\nnumber-1\nnumber-2' }]]],
    ['machine-disk', [[/sha256sum \/data\/mac-check.bin; rm/, { stdout: `${'b'.repeat(64)}  x` }]]],
    ['machine-clock', [[/exec .*date \+%s/, { stdout: '1799990000' }]]],
    ['machine-down', [[/ down mac-check$/, { exitCode: 6 }]]],
    ['life-states', [[/"resume"/, { stdout: '{"event":"state","state":"running"}\n{"done":true}' }]]],
    ['life-save', [[/"save"/, { stdout: '{"id":3,"ok":false}\n{"done":true}' }]]],
    ['life-save', [[/"save"/, { stdout: '{"silent":"save"}\n{"done":true}' }]]],
    ['life-save-devices', [[/save-devices\.log/, lines({ id: 3, ok: false, error: refusal('VZErrorDomain', 2) })]]],
    ['life-balloon', [[/"balloon"/, { exitCode: null, signal: 'SIGTRAP' }]]],
    ['life-reset', [[/reset\.log/, lines({ silent: 'told' }, { printed: ['Linux version 6', 'Linux version 6'] })]]],
    ['life-reset', [[/reset\.log/, lines({ event: 'state', state: 'error' })]]],
    ['life-limit', [[/limit\.log/, lines({ id: 1, ok: false, error: refusal('VZErrorDomain', 1) })]]],
    ['life-limit', [[/limit\.log/, { exitCode: null, signal: 'SIGTRAP' }]]],
    ['life-descriptor', [[/descriptor\.log/, lines({ descriptor: 'other', before: false, after: false })]]],
    ['life-descriptor', [[/descriptor\.log/, lines({ descriptor: 'AF_UNIX', before: true, after: false })]]],
    ['life-block-device', [[/hdiutil.*\/block-rdisk\.log/s, { exitCode: 1, stdout: '{"thrown":"EACCES"}' }]]],
    ['life-nbd', [[/\/nbd\.log/, lines({ silent: 'told' })]]],
    ['life-nbd-reconnect', [[/nbd-reconnect\.log/, lines(CONNECTED, { silent: 'told' })]]],
    ['life-nbd-absent', [[/127\.0\.0\.1:1/, { exitCode: null, signal: 'SIGABRT' }]]],
    ['rosetta-handler', [[/binfmt_misc\/rvm-rosetta/, { stdout: 'enabled\nflags: F\n' }]]],
    ['rosetta-handler', [[/binfmt_misc\/rvm-rosetta/, { stdout: 'enabled\nflags: OCF\n' }]]],
    ['rosetta-handler', [[/sw_vers -productVersion/, { stdout: '13.7.1' }]]],
    ['rosetta-handler', [[/binfmt_misc\/rvm-rosetta/, { stdout: 'disabled\nflags: POCF\n' }]]],
    ['rosetta-build-step', [[/--probe/, { exitCode: 1 }]]],
    ['rosetta-socket', [[/proc\/net\/unix/, { stdout: '' }]]],
    ['rosetta-cache-fills', [[/docker run .*perl -e 'print/, { exitCode: 0 }]]],
    ['rosetta-daemon-dies', [[/while .*pgrep/, { stdout: '' }]]],
    ['rosetta-clean-layers', [[/docker save/, { stdout: 'step-of-root\nroot/.cache/\nhome/ada/step-of-ada' }]]],
    ['rosetta-argv-zero', [[/login_shell/, { exitCode: 1 }]]],
    ['workload-rust', [[/ROSETTA_DISABLE_AOT=1 rust/, { exitCode: 139 }]]],
  ];
  test.each(cases)('%s', async (id, differences) => {
    const outcome = await checked(differences);
    expect(outcome.result(id)).toBe('fail');
    expect(outcome.evidence(id)).not.toBe('');
  });

  test('a check that did not work out is no verdict on the claim', async () => {
    const outcome = await checked([
      [/cache stats/, { exitCode: 1, stderr: 'no answer' }],
      [/hostReport/, { stdout: 'Segmentation' }],
      [/docker save/, { stdout: 'step-of-root' }],
      [/hdiutil/, { exitCode: 3, stderr: 'hdiutil: attach failed' }],
      [/descriptor\.log/, lines({ silent: 'console' })],
      [/limit\.log/, lines({ event: 'state', state: 'paused' }, { silent: 'start' })],
      [/reset\.log/, lines({ silent: 'told' }, { printed: ['Linux version 6'] })],
    ]);
    for (const id of [
      'rosetta-cache-fills',
      'rosetta-disable-aot',
      'rosetta-clean-layers',
      'framework-report',
      'framework-macos-version',
      'life-block-device',
      'life-descriptor',
      'life-limit',
      'life-reset',
    ]) {
      expect(outcome.result(id), id).toBe('unclear');
    }
    const unbuilt = await checked([[/ build .*--tag /, { exitCode: 1, stderr: 'no network' }]]);
    expect(unbuilt.result('rosetta-clean-layers')).toBe('unclear');
  });

  test('the flags of the handler are those of the macOS that it runs on', async () => {
    const thirteen: Answers = [
      [/sw_vers -productVersion/, { stdout: '13.7.1' }],
      [/binfmt_misc\/rvm-rosetta/, { stdout: 'enabled\nflags: OCF\n' }],
    ];
    expect((await checked(thirteen)).result('rosetta-handler')).toBe('pass');
    const unknown = await checked([[/sw_vers/, { exitCode: 1 }]]);
    expect(unknown.result('rosetta-handler')).toBe('unclear');
  });

  test('a bad configuration that is refused otherwise than expected is told with both', async () => {
    const { evidence } = await checked([[/odd\.raw"/, answer(refusal('VZErrorDomain', 2, 'disks[0]'))]]);
    expect(evidence('framework-refusals')).toContain(
      'VZErrorDomain 2 (VZErrorInvalidVirtualMachineConfiguration) at disks[0], but VZErrorDomain 5 (VZErrorInvalidDiskImage) at disks[0] was expected',
    );
  });

  test('the number of machines that went is told', async () => {
    expect((await checked()).evidence('life-limit')).toContain('2 went; the next: VZErrorDomain 6');
    const many = Array.from({ length: 24 }, () => ({ event: 'state', state: 'paused' }));
    const without = await checked([[/limit\.log/, lines(...many)]]);
    expect([without.result('life-limit'), without.evidence('life-limit')]).toEqual([
      'noted',
      'All of 24 machines went.',
    ]);
  });
});

test('the signed copy that later claims use is the one that doctor names', async () => {
  const { lines } = await checked();
  expect(lines.filter((line) => line.startsWith(`${SIGNED_NODE} `)).length).toBeGreaterThan(5);
});

test('whatever a command says, the report stays a report: a table row a claim, fences closed, no user’s name', async () => {
  const { facts } = await checked();
  const one = (evidence: string): Outcome => ({
    facts,
    checked: CLAIMS.slice(0, 3).map((claim) => ({ claim, verdict: noted(evidence), ms: 1 })),
  });
  const nasty = fc
    .array(fc.constantFrom('`', '```', '~~~', '|', '\n', '</details>', '/Users/ada/x', 'a'))
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(nasty, (evidence) => {
      const text = renderReport(one(evidence), OPTIONS);
      expect(text).not.toContain('/Users/ada');
      expect(text.split('\n').filter((line) => line.startsWith('| `'))).toHaveLength(3);
      // Read as CommonMark reads fences: none is open at the end.
      let open = 0;
      for (const line of text.split('\n')) {
        const run = /^(`{3,})\s*$/.exec(line)?.[1]?.length ?? 0;
        if (open === 0 && run > 0) open = run;
        else if (open > 0 && run >= open) open = 0;
      }
      expect(open).toBe(0);
    }),
  );
});
