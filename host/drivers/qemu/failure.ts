/** Puts the end of a process into words: known messages of QEMU become the error that they mean. */
import { type ErrorCode, RosettaVmError } from '../../errors.ts';
import type { ProcessCommand, ProcessExit } from '../../process/owned.ts';

interface KnownMessage {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly what: string;
  readonly fix: string;
}

/** Messages of QEMU 7.2 (softmmu/physmem.c, util/mmap-alloc.c, block/file-posix.c, util/qemu-sockets.c). */
const KNOWN_MESSAGES: readonly KnownMessage[] = [
  {
    // Whatever is said of it: no connection, no such export, something that speaks another protocol (nbd/client.c).
    pattern: /-blockdev .*file\.driver=nbd.*: /,
    code: 'E_NETWORK',
    what: 'The server of the data disk, an NBD export, does not answer as it should.',
    fix: 'Check that the NBD server runs and offers that export, then start the machine again.',
  },
  {
    pattern: /cannot set up guest memory|failed to resize memfd|unable to map backing store|Cannot allocate memory/i,
    code: 'E_SIZE',
    what: 'QEMU cannot get the machine’s memory from this host.',
    fix: 'Give the machine less memory, or end other programs.',
  },
  {
    pattern: /Failed to get (shared )?"(write|consistent read)" lock|Failed to lock byte/,
    code: 'E_LOCKED',
    what: 'A disk of the machine is in use.',
    fix: 'Stop the other machine or program that has it open.',
  },
  {
    pattern: /Address already in use|Failed to bind socket/,
    code: 'E_ADDRESS_IN_USE',
    what: 'A socket or port that the machine needs is taken.',
    fix: 'Stop the program that listens there.',
  },
  {
    pattern: /Could not access KVM kernel module|failed to initialize kvm/i,
    code: 'E_HOST_UNSUPPORTED',
    what: 'KVM cannot be used.',
    fix: 'Use qemu.accelerator: auto; `rosetta-vm doctor` says why KVM does not work.',
  },
];

/** The error for a process that ended while the machine needed it. `tail`: its last words. */
export function processFailure(command: ProcessCommand, exit: ProcessExit, tail: string): RosettaVmError {
  const known = KNOWN_MESSAGES.find(({ pattern }) => pattern.test(tail));
  return new RosettaVmError(known?.code ?? 'E_VM_FAILED', {
    what: known?.what ?? `${command.name} ended unexpectedly (${describeExit(exit)}).`,
    why: tail === '' ? 'It wrote nothing.' : `It wrote:\n${tail}`,
    fix: known?.fix ?? `The whole output is in ${command.log}; \`rosetta-vm doctor\` checks this host.`,
    facts: { process: command.name, code: exit.code, signal: exit.signal, log: command.log },
  });
}

/** `status 1` or `signal SIGKILL`. */
export function describeExit({ code, signal }: ProcessExit): string {
  return signal === null ? `status ${code}` : `signal ${signal}`;
}
