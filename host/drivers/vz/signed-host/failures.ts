/** What can go wrong with the signed copy of node, in the user's words. */
import { RosettaVmError } from '../../../errors.ts';
import type { CommandResult } from '../../../process/run-command.ts';
import { INVALID_CONFIGURATION } from '../early-refusal.ts';
import { NODE_VARIABLE } from './node-facts.ts';
import { CODESIGN, type StepId } from './recipe.ts';
import type { SelfTestOutcome } from './self-test.ts';

const KEPT_CHARACTERS = 1000;

/** codesign's own word, or how it ended. */
export function complaint({ stderr, stdout, timedOut, signal, exitCode }: CommandResult): string {
  if (timedOut) return 'It did not end in time.';
  const text = (stderr.trim() || stdout.trim()).slice(-KEPT_CHARACTERS);
  return text || `It ended with ${signal ?? `status ${exitCode}`}.`;
}

/** A `codesign` that did not do its step. */
export function codesignError(step: StepId, result: CommandResult): RosettaVmError {
  const text = complaint(result);
  const facts = { step, program: CODESIGN, exitStatus: result.exitCode, signal: result.signal };
  if (result.absent) {
    return new RosettaVmError('E_HOST_MISSING', {
      what: 'The program codesign was not found.',
      why: `${CODESIGN} is part of macOS and is not there.`,
      fix: 'Repair the macOS installation; nothing else can sign a program for this Mac.',
      facts,
    });
  }
  // codesign_allocate is a shim of xcode-select (free-sidecar#3, vercel/pkg#1201).
  if (/codesign_allocate|xcode-select|xcrun: error|CommandLineTools|developer tools/i.test(text)) {
    return new RosettaVmError('E_HOST_MISSING', {
      what: 'Node.js cannot be signed without Apple’s Command Line Tools.',
      why: text,
      fix: 'Run `xcode-select --install`, wait until it has finished, then run the same command again.',
      facts,
    });
  }
  if (/No space left on device/i.test(text)) {
    return new RosettaVmError('E_DISK_FULL', {
      what: 'The disk is full.',
      why: text,
      fix: 'Free some space (the copy of Node.js takes up to 150 MB), then run the same command again.',
      facts,
    });
  }
  return new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: 'The copy of Node.js that runs virtual machines could not be signed.',
    why: text,
    fix: 'Run `rosetta-vm doctor`, which shows every step; report it with that output if it stays.',
    facts,
  });
}

/** The signature is there, and the system reads other entitlements from it than were asked for. */
export function entitlementError(missing: readonly string[], surplus: readonly string[]): RosettaVmError {
  return new RosettaVmError('E_HOST_UNSUPPORTED', {
    what: 'The signature of the copy of Node.js does not have the entitlements that it was given.',
    why: [
      ...missing.map((key) => `${key} is missing.`),
      ...surplus.map((key) => `${key} was not asked for; a restricted one makes the system kill the program.`),
    ].join(' '),
    fix: 'Run `rosetta-vm doctor --fix`, which makes the copy anew; report it with the output of `rosetta-vm doctor` if it stays.',
    facts: { missing, surplus },
  });
}

/** Every outcome but a passed one. `killed` is worded for a copy that was killed in both variants. */
export function selfTestError(outcome: Exclude<SelfTestOutcome, { readonly kind: 'passed' }>): RosettaVmError {
  const facts = { outcome: outcome.kind };
  switch (outcome.kind) {
    case 'killed':
      return new RosettaVmError('E_HOST_UNSUPPORTED', {
        what: 'macOS kills the signed copy of Node.js as it starts.',
        why: 'The kernel accepts its signature neither plain nor with the hardened runtime; a management profile may forbid it.',
        fix: 'Look for AMFI in Console.app, try another Node.js with ROSETTA_VM_NODE, and report what `rosetta-vm doctor` says.',
        facts,
      });
    case 'library':
      return new RosettaVmError('E_HOST_UNSUPPORTED', {
        what: 'The signed copy of Node.js does not find its libraries.',
        why: outcome.message,
        fix: `Run \`brew reinstall node\`, or set ${NODE_VARIABLE} to a Node.js from nodejs.org, which needs none.`,
        facts,
      });
    case 'not-entitled':
      return new RosettaVmError('E_HOST_UNSUPPORTED', {
        what: 'The signed copy of Node.js runs, and macOS does not give it the entitlement for virtual machines.',
        why: 'Its signature carries com.apple.security.virtualization; the process does not.',
        fix: 'Report it with the output of `rosetta-vm doctor` and your version of macOS.',
        facts: { ...facts, ...INVALID_CONFIGURATION },
      });
    case 'protocol':
      return new RosettaVmError('E_HOST_UNSUPPORTED', {
        what: 'The native addon belongs to another version of rosetta-vm.',
        why: `It speaks version ${outcome.found} of the protocol between the two.`,
        fix: 'Reinstall rosetta-vm together with its optional packages: `npm install -g rosetta-vm`.',
        facts,
      });
    case 'failed':
      return new RosettaVmError('E_HOST_UNSUPPORTED', {
        what: 'The signed copy of Node.js could not load the native addon.',
        why: outcome.message,
        fix: 'Reinstall rosetta-vm together with its optional packages: `npm install -g rosetta-vm`.',
        facts,
      });
  }
}
