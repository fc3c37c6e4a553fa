/** Why a machine stopped, from how its processes ended and what QEMU and the guest's console said last. */
import type { OwnedProcess } from '../../process/owned.ts';
import type { StopReason } from '../driver.ts';
import { lastPanic } from '../last-panic.ts';
import { describeExit } from './failure.ts';
import type { QmpEvent } from './qmp.ts';

export interface Ending {
  /** The process that ended first. */
  readonly process: OwnedProcess;
  readonly isQemu: boolean;
  /** QEMU's SHUTDOWN event: `{guest, reason}` with a ShutdownCause of QEMU's qapi/run-state.json. */
  readonly shutdown: QmpEvent | undefined;
}

export async function stopReason({ process, isQemu, shutdown }: Ending, serialLog: string): Promise<StopReason> {
  if (isQemu && shutdown !== undefined) return await shutdownReason(String(shutdown.data.reason), serialLog);
  const exit = await process.exited;
  const words = process.tail === '' ? '' : ` It wrote:\n${process.tail}`;
  if (process.gaveUp) return { kind: 'crashed', message: `${process.command.name} could not go on.${words}` };
  const killed = exit.signal === 'SIGKILL' || exit.signal === 'SIGTERM';
  const hint = exit.signal === 'SIGKILL' ? ' The kernel does that too, when memory runs out.' : '';
  return {
    kind: killed ? 'killed' : 'crashed',
    message: `${process.command.name} ended (${describeExit(exit)}).${hint}${words}`,
  };
}

async function shutdownReason(cause: string, serialLog: string): Promise<StopReason> {
  switch (cause) {
    case 'guest-shutdown':
      return { kind: 'guest', message: 'The guest powered off.' };
    case 'guest-reset': {
      const panic = await lastPanic(serialLog);
      if (panic !== null) return { kind: 'crashed', message: `The guest's kernel panicked: ${panic}` };
      return { kind: 'guest', message: 'The guest restarted itself, which ends a machine.' };
    }
    case 'host-signal':
      return { kind: 'killed', message: 'QEMU was ended by a signal.' };
    case 'host-qmp-quit':
      return { kind: 'killed', message: 'Another client of its control socket ended QEMU.' };
    default:
      return { kind: 'crashed', message: `QEMU shut down (${cause}).` };
  }
}
