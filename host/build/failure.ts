/** Why a step failed: by itself, or with the look of a translator that failed it. */
import type { BuildStep } from './steps.ts';

export interface Suspicion {
  /** What speaks for the translator, for people. */
  readonly evidence: string;
  /** The program that fell, as an absolute path, where the output names it. */
  readonly program: string | null;
}

/** Ends by a signal as shells count them: SIGILL (4), SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV (11). */
const FIRST_SIGNAL_STATUS = 132;
const LAST_SIGNAL_STATUS = 139;

/** The end of the output is where the cause is; an earlier "Segmentation fault" may have been a configure test. */
const TAIL_LINES = 40;

/**
 * What a failing translator leaves in the output of a step, whatever status the step then has: make, shells and
 * compilers turn a child's signal into their own exit status 1 or 2.
 */
const TRACES: readonly RegExp[] = [
  /^rosetta error: .*$/m,
  // box64, src/libtools/signals.c: "<pid>|SIGSEGV @<address> (…".
  /^\d+\|SIG(?:SEGV|ILL|BUS|ABRT|TRAP) @.*$/m,
  // box64, src/emu: opcodes that it lacks.
  /^.*Unimplemented Opcode.*$/im,
  /^.*qemu: uncaught target signal \d+.*$/m,
  /^.*(?:Illegal instruction|Segmentation fault|Bus error|Trace\/breakpoint trap).*$/m,
  // GNU make: "Error 139".
  /^make.*: \*\*\* .* Error 13[2-9]$/m,
];

/** Null when the step failed by itself, which no other translator would change. */
export function suspectTranslator(step: BuildStep): Suspicion | null {
  if (!step.runs || step.error === '') return null;
  const tail = step.log.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  const trace = TRACES.map((pattern) => pattern.exec(tail)?.[0]).find((line) => line !== undefined);
  const status = exitStatus(step.error);
  const signalled = status !== null && status >= FIRST_SIGNAL_STATUS && status <= LAST_SIGNAL_STATUS;
  if (trace === undefined && !signalled) return null;
  const evidence = trace === undefined ? `exit status ${status}` : `“${trace.trim().slice(0, 200)}”`;
  return { evidence, program: fallenProgram(tail) ?? (signalled ? startedProgram(step.error) : null) };
}

/** BuildKit's words for a process that ended badly (util/… "did not complete successfully: exit code: N"). */
function exitStatus(error: string): number | null {
  const code = /exit code: (\d{1,3})\b/.exec(error)?.[1];
  return code === undefined ? null : Number(code);
}

/** bash names a child that a signal ended: "line 1:    12 Segmentation fault      (core dumped) /usr/bin/prog …". */
function fallenProgram(output: string): string | null {
  const named =
    /(?:Illegal instruction|Segmentation fault|Bus error|Aborted|Trace\/breakpoint trap) +(?:\(core dumped\) +)?(\/[^\s'"`;|&]+)/;
  return named.exec(output)?.[1] ?? null;
}

/** The step's own program, when it is no shell that only passes on how its child ended. */
function startedProgram(error: string): string | null {
  const program = /^process "(\/\S+?)(?: |")/.exec(error)?.[1];
  return program === undefined || /\/(?:ba|da|a|z)?sh$/.test(program) ? null : program;
}
