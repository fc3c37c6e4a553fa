/** Checks claims one after the other, whatever becomes of each, and cleans up. */
import { hostEnvironment } from '../../drivers/vz/signed-host/environment.ts';
import type { CommandRunner } from '../../process/run-command.ts';
import {
  type Claim,
  COMMAND_LIMIT_MS,
  type Context,
  MACHINE,
  NEEDS,
  type Need,
  type Result,
  type Verdict,
} from './claim.ts';
import { type FactAnswers, factCommands, type MacFacts, majorOf, readFacts } from './mac-facts.ts';

export interface Checked {
  readonly claim: Claim;
  readonly verdict: Verdict | { readonly result: 'skipped'; readonly evidence: string };
  readonly ms: number;
}

export interface CheckRequest {
  readonly claims: readonly Claim[];
  readonly folder: string;
  readonly cli: readonly string[];
  readonly addon: string | null;
  /** Whether claims that need `full` are checked. */
  readonly full: boolean;
  /** Leave the machine as it is in the end. */
  readonly keep: boolean;
  readonly run: CommandRunner;
  readonly env: NodeJS.ProcessEnv;
  readonly onClaim: (claim: Claim, index: number, count: number) => void;
  /** Ends the check after the command that runs; what is left is skipped, and the clean-up is done. */
  readonly signal?: AbortSignal | undefined;
}

export interface Outcome {
  readonly facts: MacFacts;
  readonly checked: readonly Checked[];
}

/** Tells the state folder of everything that is started, so that nothing of the user's own is touched. */
const checkEnvironment = (env: NodeJS.ProcessEnv, folder: string): NodeJS.ProcessEnv => ({
  ...hostEnvironment(env),
  ROSETTA_VM_HOME: folder,
});

/** Never rejects for what a claim comes to. */
export async function checkClaims(request: CheckRequest): Promise<Outcome> {
  const { claims, run, folder, cli, addon } = request;
  const env = checkEnvironment(request.env, folder);
  const facts = await collectFacts(request, env);
  let context: Context = { folder, cli, addon, facts, signedNode: null };
  const shown = new Set<Need>();
  const checked: Checked[] = [];
  for (const [index, claim] of claims.entries()) {
    const started = performance.now();
    const lacking = missingNeed(claim, context, shown, request);
    if (lacking !== null) {
      checked.push({ claim, verdict: { result: 'skipped', evidence: lacking }, ms: 0 });
      continue;
    }
    request.onClaim(claim, index, claims.length);
    const answered = await check(claim, context, run, env, request.signal);
    context = learn(context, shown, claim, answered);
    checked.push({ claim, verdict: answered.verdict, ms: performance.now() - started });
  }
  if (!request.keep) await cleanUp(request, env, shown);
  return { facts, checked };
}

async function collectFacts({ run, cli }: CheckRequest, env: NodeJS.ProcessEnv): Promise<MacFacts> {
  const commands = factCommands(cli[0] ?? '', cli);
  const entries = Object.entries(commands).map(async ([name, argv]) => {
    return [name, await run(argv, { env, limitMs: COMMAND_LIMIT_MS })] as const;
  });
  return readFacts(Object.fromEntries(await Promise.all(entries)) as FactAnswers);
}

/** Why the claim cannot be checked here, or null. */
function missingNeed(
  { needs }: Claim,
  { facts, addon }: Context,
  shown: ReadonlySet<Need>,
  { full, signal }: CheckRequest,
): string | null {
  if (signal?.aborted === true) return 'The check was stopped before.';
  const there: Readonly<Record<Need, boolean>> = {
    'apple-silicon': facts.appleSilicon,
    'macos-14': majorOf(facts) >= 14,
    'macos-27': majorOf(facts) >= 27,
    'before-macos-27': majorOf(facts) < 27,
    addon: addon !== null,
    'signed-copy': shown.has('signed-copy'),
    machine: shown.has('machine'),
    rosetta: shown.has('rosetta'),
    'homebrew-node': facts.homebrewNode !== null,
    'no-command-line-tools': !facts.commandLineTools,
    full,
    hands: false,
  };
  const missing = needs.filter((need) => !there[need]);
  return missing.length === 0 ? null : `Needs ${missing.map((need) => NEEDS[need]).join(', and ')}.`;
}

interface Answered {
  readonly results: readonly Result[];
  readonly verdict: Verdict;
}

async function check(
  claim: Claim,
  context: Context,
  run: CommandRunner,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<Answered> {
  const results: Result[] = [];
  try {
    for (const { argv, env: more, limitMs = COMMAND_LIMIT_MS } of claim.commands(context)) {
      results.push({ argv, ...(await run(argv, { env: { ...env, ...more }, limitMs, signal })) });
    }
    return { results, verdict: claim.judge(results, context) };
  } catch (error) {
    return { results, verdict: { result: 'unclear', evidence: `The check failed: ${(error as Error).message}` } };
  }
}

/** What a claim has shown to be there, for those that build on it. */
function learn(context: Context, shown: Set<Need>, { shows }: Claim, { results, verdict }: Answered): Context {
  if (verdict.result !== 'pass' || shows === undefined) return context;
  const { needs, signedNode = context.signedNode } = shows(results);
  for (const need of needs) shown.add(need);
  return { ...context, signedNode };
}

const CLEAN_UP_LIMIT_MS = 2 * 60_000;

/** Also after an abort, which is why the signal is not passed on. */
async function cleanUp({ run, cli }: CheckRequest, env: NodeJS.ProcessEnv, shown: ReadonlySet<Need>): Promise<void> {
  if (!shown.has('signed-copy')) return;
  for (const words of [
    ['down', MACHINE, '--force'],
    ['delete', MACHINE, '--yes'],
  ]) {
    await run([...cli, ...words], { env, limitMs: CLEAN_UP_LIMIT_MS });
  }
}
