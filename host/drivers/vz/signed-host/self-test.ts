/** The first thing that the signed copy runs: it loads the addon and says what the framework thinks of it. */
import { z } from 'zod';
import type { CommandResult } from '../../../process/run-command.ts';
import { ADDON_PROTOCOL, type VzHostReport } from '../addon.ts';
import { parseHostReport } from '../messages.ts';

/** `self-test.cjs ADDON`; one line of JSON on stdout. CommonJS, since only `require` loads an addon. */
export const SELF_TEST_SCRIPT = `'use strict';
const addon = require(process.argv[2]);
const report = addon.hostReport();
const { node } = process.versions;
process.stdout.write(JSON.stringify({ node, architecture: process.arch, protocol: addon.protocol, report }));
`;

const ANSWER = z.object({
  node: z.string().max(64),
  architecture: z.string().max(32),
  protocol: z.number(),
  report: z.string(),
});
export type SelfTestAnswer = Omit<z.infer<typeof ANSWER>, 'report'> & { readonly report: VzHostReport };

/** How a self-test went, in the words that decide what is done next. */
export type SelfTestOutcome =
  | { readonly kind: 'passed'; readonly answer: SelfTestAnswer }
  /** SIGKILL before or while it ran: the kernel does not accept the signature. */
  | { readonly kind: 'killed' }
  /** dyld ended it: a library is not where the executable looks. */
  | { readonly kind: 'library'; readonly message: string }
  /** The process runs, the entitlement did not arrive. */
  | { readonly kind: 'not-entitled' }
  /** The addon speaks another protocol than this version. */
  | { readonly kind: 'protocol'; readonly found: number }
  | { readonly kind: 'failed'; readonly message: string };

/** What a shell or an intermediary makes of SIGKILL (128 + 9). */
const KILLED_STATUS = 137;

export function selfTestOutcome(result: CommandResult): SelfTestOutcome {
  if (result.timedOut) return { kind: 'failed', message: 'It did not end in time.' };
  if (result.signal === 'SIGKILL' || result.exitCode === KILLED_STATUS) return { kind: 'killed' };
  const message = result.stderr.trim().slice(-1000);
  if (/Library not loaded/.test(message)) return { kind: 'library', message };
  if (result.exitCode !== 0) {
    return { kind: 'failed', message: message || `It ended with ${result.signal ?? `status ${result.exitCode}`}.` };
  }
  try {
    const { report: text, ...rest } = ANSWER.parse(JSON.parse(result.stdout));
    if (rest.protocol !== ADDON_PROTOCOL) return { kind: 'protocol', found: rest.protocol };
    const report = parseHostReport(text);
    return report.entitled ? { kind: 'passed', answer: { ...rest, report } } : { kind: 'not-entitled' };
  } catch (error) {
    return { kind: 'failed', message: `Its answer makes no sense: ${(error as Error).message.slice(0, 500)}` };
  }
}
