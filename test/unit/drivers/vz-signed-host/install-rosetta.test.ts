import { closeSync, writeSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { VzFailure, VzHostReport, VzReply } from '../../../../host/drivers/vz/addon.ts';
import { ensureRosetta, type RosettaInstall } from '../../../../host/drivers/vz/install-rosetta.ts';
import { asRosettaVmError } from '../../../../host/errors.ts';
import type { ProgressEvent } from '../../../../host/progress.ts';
import { Fifos } from '../../../stand-in/descriptors.ts';
import { macReport, ODD_MACS } from '../../../stand-in/vz-reports.ts';

const MISSING = ODD_MACS['Rosetta not installed'];

interface Scene {
  readonly installs: number;
  readonly questions: string[];
  readonly events: ProgressEvent[];
  ensure(report: VzHostReport, over?: Partial<RosettaInstall>): Promise<void>;
}

/** An addon whose install ends with these lines, then closes. Null: it says nothing and stays open. */
function scene(lines: readonly string[] | null, answer: boolean | null = true): Scene {
  const fifos = new Fifos();
  onTestFinished(() => fifos.remove());
  const questions: string[] = [];
  const events: ProgressEvent[] = [];
  let installs = 0;
  const addon = {
    installRosetta: () => {
      installs += 1;
      const { reader, writer } = fifos.pair();
      for (const line of lines ?? []) writeSync(writer, `${line}\n`);
      if (lines === null) onTestFinished(() => closeSync(writer));
      else closeSync(writer);
      return { events: reader };
    },
  };
  return {
    get installs() {
      return installs;
    },
    questions,
    events,
    ensure: (report, over = {}) =>
      ensureRosetta({
        addon,
        report,
        onProgress: (event) => void events.push(event),
        ask: answer === null ? undefined : async (question) => questions.push(question) > 0 && answer,
        ...over,
      }),
  };
}

const reply = (error: Partial<VzFailure> | null): string => {
  const failure: VzFailure = {
    domain: 'VZErrorDomain',
    code: 1,
    message: 'It failed.',
    reason: '',
    subject: '',
    ...error,
  };
  const line: VzReply = error === null ? { id: 0, ok: true, value: null } : { id: 0, ok: false, error: failure };
  return JSON.stringify(line);
};
const failed = (running: Promise<void>) =>
  running.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => asRosettaVmError(error),
  );

describe('Rosetta that is not installed', () => {
  test('is installed after a yes, with a stage that the command line draws', async () => {
    const { ensure, questions, events } = scene([reply(null)]);
    await ensure(MISSING);
    expect(questions).toHaveLength(1);
    expect(events.map((event) => event.kind !== 'note' && `${event.kind} ${event.id}`)).toEqual([
      'begin rosetta.install',
      'end rosetta.install',
    ]);
  });

  test('is not, after a no; the command and the other translators are named', async () => {
    const one = scene([], false);
    const error = await failed(one.ensure(MISSING));
    expect(error).toMatchObject({
      code: 'E_HOST_MISSING',
      fix: expect.stringMatching(/softwareupdate --install-rosetta --agree-to-license.*--translator/),
    });
    expect(one.installs).toBe(0);
  });

  test('is not without a terminal: nothing is asked, the command is named', async () => {
    const one = scene([], null);
    const error = await failed(one.ensure(MISSING));
    expect(error).toMatchObject({ code: 'E_HOST_MISSING', why: expect.stringContaining('no terminal') });
    expect(error.fix).toContain('softwareupdate --install-rosetta --agree-to-license');
    expect(one.installs).toBe(0);
  });
});

test.each([
  ['macOS 15 that has it', macReport(15)],
  ['macOS 27', macReport(27, 0)],
  ['macOS 27 that says it is not installed', ODD_MACS['macOS 27 that says Rosetta is not installed']],
  ['a Mac that cannot have it', ODD_MACS['macOS in a virtual machine']],
  ['an Intel Mac', ODD_MACS['an Intel Mac']],
  ['one whose share can be made, whatever it says', { ...MISSING, rosetta: { ...MISSING.rosetta, share: true } }],
])('on %s nobody is asked and nothing is installed', async (_, report) => {
  const one = scene([]);
  await one.ensure(report);
  expect(one.questions).toEqual([]);
  expect(one.installs).toBe(0);
});

describe('an install that fails', () => {
  test.each([
    [7, 'E_NETWORK', /internet/],
    [8, 'E_DISK_FULL', /space/],
    [9, 'E_HOST_MISSING', /agree/],
    [10, 'E_HOST_UNSUPPORTED', /another translator/],
    [1, 'E_HOST_MISSING', /softwareupdate/],
    [40_001, 'E_HOST_MISSING', /softwareupdate/],
  ])('with VZError %i is %s', async (code, expected, fix) => {
    const error = await failed(scene([reply({ code })]).ensure(MISSING));
    expect(error).toMatchObject({ code: expected, facts: { domain: 'VZErrorDomain', code } });
    expect(error.fix).toMatch(fix);
  });

  test('with an error of another domain keeps its words', async () => {
    const error = await failed(
      scene([reply({ domain: 'NSURLErrorDomain', code: 7, message: 'Offline.' })]).ensure(MISSING),
    );
    expect(error).toMatchObject({ code: 'E_HOST_MISSING', why: expect.stringContaining('Offline.') });
  });

  test('without an answer, or with one that makes no sense, says so', async () => {
    expect((await failed(scene([]).ensure(MISSING))).why).toContain('without a result');
    expect((await failed(scene(['{"id":']).ensure(MISSING))).code).toBe('E_HOST_MISSING');
  });

  test('is left on Ctrl-C', async () => {
    const given = new AbortController();
    const running = failed(scene(null).ensure(MISSING, { signal: given.signal }));
    setImmediate(() => given.abort());
    expect((await running).code).toBe('E_ABORTED');
  });
});
