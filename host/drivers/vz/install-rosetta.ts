/**
 * Rosetta for Linux on macOS 13 to 26, where it is an optional part of the system. From macOS 27 on translation for
 * Linux is built in and nothing is ever to be installed (developer.apple.com, running-intel-binaries-in-linux-vms).
 */
import { asRosettaVmError, RosettaVmError } from '../../errors.ts';
import { stage } from '../../progress.ts';
import type { PrepareOptions } from '../driver.ts';
import type { VzAddon, VzFailure, VzHostReport } from './addon.ts';
import { BUILT_IN_ROSETTA_MACOS, INSTALL_ROSETTA_COMMAND } from './capabilities.ts';
import { errorName } from './error-names.ts';
import { failureFacts, wordsOf } from './errors.ts';
import { readLines } from './lines.ts';

/** The download is small, the licence is to be read, and the framework's own install is known to hang, ms. */
const INSTALL_LIMIT_MS = 15 * 60_000;

export interface RosettaInstall extends PrepareOptions {
  readonly addon: Pick<VzAddon, 'installRosetta'>;
  readonly report: VzHostReport;
}

/** Whether installing is what is missing here. */
export function canInstallRosetta({ macOS, rosetta }: VzHostReport): boolean {
  return macOS.major < BUILT_IN_ROSETTA_MACOS && rosetta.availability === 'notInstalled' && !rosetta.share;
}

/**
 * Offers to install Rosetta where that is what is missing; else does nothing. Throws `E_HOST_MISSING`, with the command
 * to type, when there is nobody to ask, when the answer is no, or when the install fails; `E_NETWORK`, `E_DISK_FULL`,
 * `E_TIMEOUT`, `E_ABORTED`.
 */
export async function ensureRosetta(request: RosettaInstall): Promise<void> {
  const { report, ask, onProgress } = request;
  if (!canInstallRosetta(report)) return;
  if (ask === undefined) throw notInstalled(report, 'Nobody can be asked whether to install it: there is no terminal.');
  if (!(await ask('Rosetta is not installed. Install it now? macOS will show its licence'))) {
    throw notInstalled(report, 'You chose not to install it now.');
  }
  await stage(onProgress, 'rosetta.install', 'Installing Rosetta', () => install(request));
}

function notInstalled({ rosetta: { error } }: VzHostReport, why: string): RosettaVmError {
  return new RosettaVmError('E_HOST_MISSING', {
    what: 'Rosetta is not installed on this Mac.',
    why,
    fix: `Run \`${INSTALL_ROSETTA_COMMAND}\`, or choose another translator with \`rosetta-vm up --translator box64\`.`,
    facts: { rosetta: 'notInstalled', ...(error === null ? {} : failureFacts(error)) },
  });
}

async function install({ addon, signal }: RosettaInstall): Promise<void> {
  signal?.throwIfAborted();
  const { events } = addon.installRosetta();
  await new Promise<void>((resolve, reject) => {
    let settled = false;
    const settle = (error: RosettaVmError | null): void => {
      if (settled) return;
      settled = true;
      clearTimeout(alarm);
      signal?.removeEventListener('abort', onAbort);
      reader.close();
      if (error === null) resolve();
      else reject(error);
    };
    const reader = readLines(events, {
      line: (line) => {
        if ('id' in line && line.id === 0) settle(line.ok ? null : installError(line.error));
      },
      end: (error) => settle(installEnded(error)),
    });
    const onAbort = (): void => settle(asRosettaVmError(signal?.reason));
    const alarm = setTimeout(() => settle(installTimeout()), INSTALL_LIMIT_MS);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** The four that installRosettaWithCompletionHandler: documents (VZError 7 to 10); the rest is told as it is. */
function installError(failure: VzFailure): RosettaVmError {
  const why = wordsOf(failure);
  const facts = failureFacts(failure);
  switch (errorName(failure.domain, failure.code)) {
    case 'VZErrorNetworkError':
      return new RosettaVmError('E_NETWORK', {
        what: 'Rosetta could not be downloaded.',
        why,
        fix: 'Check the connection to the internet (a proxy, a filter of the company), then run the same command again.',
        facts,
      });
    case 'VZErrorOutOfDiskSpace':
      return new RosettaVmError('E_DISK_FULL', {
        what: 'There is not enough space to install Rosetta.',
        why,
        fix: 'Free some space, then run the same command again.',
        facts,
      });
    case 'VZErrorOperationCancelled':
      return new RosettaVmError('E_HOST_MISSING', {
        what: 'Rosetta was not installed: the installation was cancelled.',
        why,
        fix: `Run the same command again and agree, or run \`${INSTALL_ROSETTA_COMMAND}\`.`,
        facts,
      });
    case 'VZErrorNotSupported':
      return new RosettaVmError('E_HOST_UNSUPPORTED', {
        what: 'This Mac cannot have Rosetta for Linux.',
        why,
        fix: 'Choose another translator with `rosetta-vm up --translator box64`.',
        facts,
      });
    default:
      return new RosettaVmError('E_HOST_MISSING', {
        what: 'Rosetta was not installed.',
        why,
        fix: `Run \`${INSTALL_ROSETTA_COMMAND}\` in a terminal, which says more.`,
        facts,
      });
  }
}

function installEnded(error: Error | null): RosettaVmError {
  return new RosettaVmError('E_HOST_MISSING', {
    what: 'Rosetta was not installed.',
    why: error === null ? 'The installation ended without a result.' : error.message,
    fix: `Run \`${INSTALL_ROSETTA_COMMAND}\` in a terminal.`,
  });
}

const installTimeout = (): RosettaVmError =>
  new RosettaVmError('E_TIMEOUT', {
    what: 'Installing Rosetta took too long.',
    why: `macOS had not finished after ${INSTALL_LIMIT_MS / 60_000} minutes; its prompt is known to hang.`,
    fix: `Run \`${INSTALL_ROSETTA_COMMAND}\` in a terminal.`,
  });
