/** What Mac this is, for the head of the report and for what claims need. */
import { z } from 'zod';
import type { CommandResult } from '../../process/run-command.ts';
import { jsonIn } from './json-in.ts';

export interface MacFacts {
  readonly macOS: string;
  readonly build: string;
  readonly chip: string;
  readonly memoryGiB: number | null;
  readonly cpus: string;
  readonly appleSilicon: boolean;
  /** Whether macOS itself runs in a virtual machine. */
  readonly virtual: boolean;
  readonly commandLineTools: boolean;
  readonly integrityProtection: string;
  /** Version and architecture of the node that runs this. */
  readonly node: string;
  readonly homebrewNode: string | null;
  readonly version: string;
}

/** Where Homebrew puts node on Apple silicon. */
export const HOMEBREW_NODE = '/opt/homebrew/bin/node';
const ABOUT_NODE = 'process.stdout.write(JSON.stringify([process.versions.node, process.arch]))';

/** One command a fact, by name. */
export function factCommands(node: string, cli: readonly string[]) {
  return {
    macOS: ['/usr/bin/sw_vers', '-productVersion'],
    build: ['/usr/bin/sw_vers', '-buildVersion'],
    chip: ['/usr/sbin/sysctl', '-n', 'machdep.cpu.brand_string'],
    memory: ['/usr/sbin/sysctl', '-n', 'hw.memsize'],
    cpus: ['/usr/sbin/sysctl', '-n', 'hw.ncpu'],
    arm64: ['/usr/sbin/sysctl', '-n', 'hw.optional.arm64'],
    virtual: ['/usr/sbin/sysctl', '-n', 'kern.hv_vmm_present'],
    tools: ['/usr/bin/xcode-select', '-p'],
    integrity: ['/usr/bin/csrutil', 'status'],
    node: [node, '-e', ABOUT_NODE],
    homebrew: [HOMEBREW_NODE, '-e', ABOUT_NODE],
    version: [...cli, '--version'],
  } as const satisfies Record<string, readonly string[]>;
}
export type FactAnswers = Readonly<Record<keyof ReturnType<typeof factCommands>, CommandResult>>;

const ABOUT = z.tuple([z.string().max(64), z.string().max(32)]);

export function readFacts(answers: FactAnswers): MacFacts {
  const line = ({ exitCode, stdout }: CommandResult): string => (exitCode === 0 ? stdout.trim().slice(0, 200) : '');
  const about = (answer: CommandResult): string | null => {
    const parsed = ABOUT.safeParse(jsonIn(answer.stdout));
    return parsed.success ? parsed.data.join(' ') : null;
  };
  const memory = Number(line(answers.memory));
  return {
    macOS: line(answers.macOS) || 'unknown',
    build: line(answers.build) || 'unknown',
    chip: line(answers.chip) || 'unknown',
    memoryGiB: memory > 0 ? Math.round(memory / 2 ** 30) : null,
    cpus: line(answers.cpus) || 'unknown',
    appleSilicon: line(answers.arm64) === '1',
    virtual: line(answers.virtual) === '1',
    commandLineTools: answers.tools.exitCode === 0,
    integrityProtection: line(answers.integrity).replace(/^System Integrity Protection status:\s*/, '') || 'unknown',
    node: about(answers.node) ?? 'unknown',
    homebrewNode: about(answers.homebrew),
    version: line(answers.version) || 'unknown',
  };
}

/** 15 of `15.6.1`; 0 when it is not known. */
export const majorOf = ({ macOS }: MacFacts): number => Number(/^\d+/.exec(macOS)?.[0] ?? 0);
