/**
 * What mac-check runs in a machine, on one that is no Mac's: the programs are there and their answers are understood.
 * Whether a claim holds, only a Mac can show.
 */
import { expect, test } from 'vitest';
import { type Claim, type Command, type Context, MACHINE, type Result } from '../../host/dev/mac-check/claim.ts';
import { CLAIMS } from '../../host/dev/mac-check/claims/index.ts';
import { factCommands, readFacts } from '../../host/dev/mac-check/mac-facts.ts';
import { packageFile } from '../../host/package-root.ts';
import { type CommandResult, runCommand } from '../../host/process/run-command.ts';
import { runInGuest, sharedAgent, sharedMachine } from './support.ts';

const WELL: CommandResult = { exitCode: 0, signal: null, stdout: '', stderr: '', timedOut: false, absent: false };
const CLI = [process.execPath, packageFile('dist/rosetta-vm.js')];
const ANSWERS = Object.fromEntries(Object.keys(factCommands('', CLI)).map((name) => [name, WELL]));
const CONTEXT: Context = {
  folder: '/nowhere',
  cli: CLI,
  addon: null,
  facts: readFacts(ANSWERS as Parameters<typeof readFacts>[0]),
  signedNode: null,
};

const claimOf = (id: string): Claim => CLAIMS.find((claim) => claim.id === id) ?? expect.fail(`No claim ${id}`);

/** Runs it on the machine that the tests share. */
async function run({ argv, limitMs = 60_000 }: Command): Promise<Result> {
  const words = argv.map((word) => (word === MACHINE ? sharedMachine() : word));
  return { argv: words, ...(await runCommand(words, { env: process.env, limitMs })) };
}

test.each(['machine-devices', 'machine-clock'])('what %s asks is answered', async (id) => {
  const { judge, commands } = claimOf(id);
  const results: Result[] = [];
  for (const command of commands(CONTEXT)) results.push(await run(command));
  // A slow host reads the two clocks too far apart, which is no fault of theirs.
  expect(judge(results, CONTEXT).result).not.toBe('unclear');
});

test('every program that a script of a claim starts is in the guest', async () => {
  const names = new Set(CLAIMS.filter(({ needs }) => !needs.includes('full')).flatMap(programsOf));
  expect([...names]).toEqual(expect.arrayContaining(['ip', 'nslookup', 'pgrep', 'pkill', 'sha256sum']));
  const script = 'for name in "$@"; do command -v "$name" >/dev/null || echo "$name"; done';
  expect(await runInGuest(await sharedAgent(), ['sh', '-c', script, 'sh', ...names, 'docker'])).toMatchObject({
    stdout: '',
    exit: { code: 0 },
  });
});

/** The first word of each command in the scripts that a claim runs in the guest; the shell's own words are among them. */
function programsOf({ commands }: Claim): string[] {
  const scripts = commands(CONTEXT).flatMap(({ argv }) => {
    const at = argv.indexOf('--');
    return at === -1 || argv[at + 1] !== 'sh' ? [] : [argv.at(-1) ?? ''];
  });
  return scripts
    .flatMap((script) => script.split(/[;|&\n]+|\bdo\b|\bwhile\b|\$\(|!/))
    .flatMap((part) => /^\s*([a-z][a-z0-9_-]*)(?=\s|$)/.exec(part)?.[1] ?? []);
}
