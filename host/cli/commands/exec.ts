/** `rosetta-vm exec` */
import { Command, Option } from 'commander';
import type { CommandContext } from '../context.ts';
import { runSession } from '../exec-session.ts';
import { environmentPair, machineArgument, userAndGroup } from '../options.ts';

interface ExecFlags {
  readonly env?: Record<string, string>;
  readonly workdir?: string;
  readonly user?: { uid: number; gid: number };
  readonly root?: string;
  readonly tty?: boolean;
  readonly stdin: boolean;
}

const EXAMPLES = `
The exit status is the program's: 128 + n when a signal ended it, 127 when it
was not found, 126 when it could not be started, 125 when rosetta-vm itself
failed. SIGINT, SIGTERM and SIGHUP are sent on to it.

Examples:
  rosetta-vm exec default -- uname -m
  rosetta-vm exec ci --env CC=gcc --workdir /src -- make -j2
  rosetta-vm exec default --root /data/roots/trixie -- gcc --version
  tar -c . | rosetta-vm exec default -- tar -x -C /data/src`;

export function execCommand(context: CommandContext): Command {
  return new Command('exec')
    .summary('run a program in a machine')
    .description('Runs a program in a running machine, on this terminal’s input and output.')
    .addArgument(machineArgument())
    .argument('<command...>', 'the program and its arguments, after “--”')
    .addOption(
      new Option('-e, --env <key=value>', 'set a variable; KEY alone passes this shell’s value on').argParser(
        environmentPair,
      ),
    )
    .option('-w, --workdir <path>', 'folder in the guest to run in (default: /)')
    .addOption(
      new Option('-u, --user <uid[:gid]>', 'numbers of the user and group (default: 0:0)').argParser(userAndGroup),
    )
    .option('--root <path>', 'run in this tree of the guest, such as an unpacked amd64 Debian')
    .option('-t, --tty', 'give the program a terminal')
    .option('-n, --no-stdin', 'give the program no input')
    .addHelpText('after', EXAMPLES)
    .action(async (machine: string, argv: string[], { env, workdir, user, root, tty = false, stdin }: ExecFlags) => {
      await runSession(context, machine, { argv, env: env ?? {}, cwd: workdir, user, root, tty, stdin });
    });
}
