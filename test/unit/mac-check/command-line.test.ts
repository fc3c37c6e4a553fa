/** The claims against the command line itself: it knows their words, and they read what it prints. */
import { describe, expect, test } from 'vitest';
import type { TranslatorStatus } from '../../../guest/protocol.ts';
import type { CacheStats } from '../../../guest/translation-protocol.ts';
import { type Claim, type Context, MACHINE, type Result } from '../../../host/dev/mac-check/claim.ts';
import { CLAIMS } from '../../../host/dev/mac-check/claims/index.ts';
import { readFacts } from '../../../host/dev/mac-check/mac-facts.ts';
import { runCommand } from '../../../host/process/run-command.ts';
import { commandLine, environment } from '../cli/command-line.ts';
import { HEALTH, scriptedAgent, standIn } from '../cli/stand-in.ts';
import { ended } from '../drivers/vz-signed-host/stand-in.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const cli = commandLine();

const STATS: CacheStats = {
  backend: 'rosettad',
  state: 'on',
  directory: '/data/cache/rosettad/ab',
  build: 'b'.repeat(64),
  entries: 3,
  bytes: 3000,
  limitBytes: 2 ** 32,
  programs: [],
};
const withTranslator = (name: 'box64' | 'rosetta', state: TranslatorStatus['state']) => {
  const { active = expect.fail() } = HEALTH.translator;
  return { ...HEALTH, translator: { ...HEALTH.translator, state, wanted: name, active: { ...active, name } } };
};

const claimOf = (id: string): Claim => CLAIMS.find((claim) => claim.id === id) ?? expect.fail(`No claim ${id}`);
const answered = (): Result => ({ argv: [], ...ended() });

/** The check's folder, in which its machine runs where it is to. */
async function check(health: typeof HEALTH | null) {
  const folder = await temporaryFolder();
  if (health !== null) {
    const requests = { 'GET /v1/health': () => health, 'GET /v1/cache/stats': () => STATS };
    await standIn(folder, MACHINE, await scriptedAgent(requests));
  }
  const facts = readFacts(new Proxy({}, { get: () => ended() }) as Parameters<typeof readFacts>[0]);
  const context: Context = { folder, cli: [process.execPath, cli.program], facts, addon: null, signedNode: null };
  const run = async (argv: readonly string[]): Promise<Result> => ({
    argv,
    ...(await runCommand(argv, { env: environment({ home: folder }), limitMs: 15_000 })),
  });
  return { context, run };
}

describe('what the command line prints is read as it is', () => {
  test.each([
    ['rosetta', 'ready', ['machine', 'rosetta']],
    ['box64', 'failed', ['machine']],
  ] as const)('the status of a machine whose translator is %s (%s)', async (name, state, needs) => {
    const { context, run } = await check(withTranslator(name, state));
    const { commands, judge, shows } = claimOf('machine-up');
    const [, status = expect.fail()] = commands(context);
    const results = [answered(), await run(status.argv)];
    expect(judge(results, context)).toEqual({
      result: 'pass',
      evidence: `running, kernel ${HEALTH.kernel}, translator ${name} (${state})`,
    });
    expect(shows?.(results)).toEqual({ needs });
  });

  test('the state of one that was stopped', async () => {
    const { context, run } = await check(HEALTH);
    const { commands, judge } = claimOf('machine-down');
    const [, status = expect.fail()] = commands(context);
    const verdict = judge([answered(), await run(status.argv), answered()], context);
    expect(verdict).toMatchObject({ result: 'fail', evidence: expect.stringContaining('then running') });
  });

  test('what the cache holds', async () => {
    const { context, run } = await check(HEALTH);
    const { commands, judge } = claimOf('rosetta-disable-aot');
    const [stats = expect.fail()] = commands(context);
    const answer = await run(stats.argv);
    const verdict = judge([answer, answered(), answer], context);
    expect(verdict).toMatchObject({ result: 'pass', evidence: expect.stringContaining('entries: 3 → 3') });
  });
});

describe('the command line knows every word of the claims', () => {
  /** Each once: the command, its subcommand or machine, and what follows but for a program's own words. */
  const linesOf = (context: Context): string[][] => {
    const lines = CLAIMS.flatMap(({ commands }) => commands(context))
      .filter(({ argv }) => argv[1] === cli.program)
      .map(({ argv }) => argv.slice(2, argv.includes('--') ? argv.indexOf('--') : undefined).join(' '));
    return [...new Set(lines)].map((line) => line.split(' '));
  };
  /** These make what is missing; of them the flags are looked up. */
  const MAKERS = ['build', 'doctor', 'up'];

  test('where there is no machine, it is that which is missing', async () => {
    const { context, run } = await check(null);
    const lines = linesOf(context).filter(([command = '']) => !MAKERS.includes(command));
    expect(new Set(lines.map(([command]) => command))).toEqual(new Set(['status', 'exec', 'down', 'cache']));
    for (const line of lines) {
      const { stderr } = await run([...context.cli, ...line, ...(line[0] === 'exec' ? ['--', 'true'] : [])]);
      expect(stderr, line.join(' ')).toContain('There is no machine');
    }
  });

  test.each(MAKERS)('every flag of %s is one', async (command) => {
    const { context, run } = await check(null);
    const flags = linesOf(context).flatMap((line) =>
      line[0] === command ? line.filter((word) => /^-/.test(word)) : [],
    );
    expect(flags.length).toBeGreaterThan(0);
    const { stdout } = await run([...context.cli, command, '--help']);
    for (const flag of flags) expect(stdout).toMatch(new RegExp(`^ +(-\\w, )?${flag}\\b`, 'm'));
  });
});
