/**
 * A Mac that does not exist: answers to the commands of mac-check, made up from what is documented of the programs.
 * None was recorded on a Mac. It shows that the check goes through, judges and reports; what a Mac says it cannot show.
 */
import type { TranslatorStatus } from '../../../guest/protocol.ts';
import type { CacheStats } from '../../../guest/translation-protocol.ts';
import type { Capability } from '../../../host/drivers/driver.ts';
import { ADDON_PROTOCOL, type VzEvent, type VzFailure, type VzState } from '../../../host/drivers/vz/addon.ts';
import type { MachineStatus } from '../../../host/machine/machine.ts';
import type { CommandOptions, CommandResult, CommandRunner } from '../../../host/process/run-command.ts';
import { macReport } from '../../stand-in/vz-reports.ts';
import { ended } from '../drivers/vz-signed-host/stand-in.ts';

/** The first pattern that fits the command's words, joined by spaces, answers; others overlay these. */
export type Answers = readonly (readonly [pattern: RegExp, answer: Partial<CommandResult> | (() => never)])[];

export const SIGNED_NODE = '/Users/ada/.rosetta-vm-check/c-1/hosts/0123456789abcdef/rosetta-vm-host';
export const CLI = ['/opt/node/bin/node', '/opt/rosetta-vm/dist/rosetta-vm.js'];
export const FOLDER = '/Users/ada/.rosetta-vm-check/c-1';

const row = (
  id: string,
  what: string,
  status: Capability['status'] = 'ok',
  why = '',
): Capability & { readonly schemaVersion: 1 } => ({
  schemaVersion: 1,
  id,
  status,
  what,
  why,
  fix: '',
});
export const DOCTOR = [
  row('node', 'Node.js 22.23.2'),
  row('signed-source', 'Node.js 22.23.2, one file: /opt/node/bin/node'),
  row('signed-copy', SIGNED_NODE),
  row('signed-signature', 'codesign finds it valid'),
  row('signed-entitlement', 'com.apple.security.virtualization, and what Node.js needs'),
  row('signed-self-test', 'The copy runs'),
];
const ROSETTA: TranslatorStatus = {
  state: 'ready',
  wanted: 'rosetta',
  active: {
    name: 'rosetta',
    version: 'bbbbbbbbbbbb',
    build: 'b'.repeat(64),
    interpreter: '/dev/rvm-rosetta-share/rosetta',
    program: '/dev/rvm-rosetta-share/rosetta',
    flags: 'POCF',
    proved: true,
  },
  removedHandlers: [],
};
/** Of the shapes that the command line prints: one that is read otherwise is found out here, not on a Mac. */
const STATUS: Pick<MachineStatus, 'state' | 'health' | 'translator'> = {
  state: 'running',
  health: {
    protocol: 1,
    agentVersion: '0.1.0',
    machine: 'mac-check',
    uptimeSeconds: 90,
    kernel: '6.12.0-cloud-arm64',
    timeMs: 1_800_000_000_000,
    memory: { totalBytes: 4_000_000_000, availableBytes: 3_000_000_000 },
    dataDisk: { state: 'ready' },
    translator: ROSETTA,
    cache: { backend: 'rosettad', state: 'on' },
    engine: { state: 'ready', restarts: 0 },
  },
  translator: ROSETTA,
};
const status = (state: MachineStatus['state']) => json([{ schemaVersion: 1, ...STATUS, state }]);
const stats = (entries: number): readonly CacheStats[] => [
  {
    backend: 'rosettad',
    state: 'on',
    directory: '/data/cache/rosettad/ab',
    build: 'b'.repeat(64),
    entries,
    bytes: 1000,
    limitBytes: 2 ** 32,
    programs: [],
  },
];
const json = (value: unknown): Partial<CommandResult> => ({ stdout: `${JSON.stringify(value)}\n` });
const DONE = '\n{"id":1,"ok":true,"value":null}\n{"done":true}';
/** What a driven machine tells. */
export const lines = (...told: object[]): Partial<CommandResult> => ({
  stdout: told.map((line) => JSON.stringify(line)).join('\n') + DONE,
});
const state = (name: VzState): VzEvent => ({ event: 'state', state: name });
export const CONNECTED: VzEvent = { event: 'disk', disk: 0, kind: 'connected', error: null };
export const refusal = (domain: string, code: number, subject = '', reason = ''): VzFailure => ({
  domain,
  code,
  message: 'It failed.',
  reason,
  subject,
});
const NOT_ENTITLED = {
  ...refusal('VZErrorDomain', 2, '', 'The process doesn’t have the “com.apple.security.virtualization” entitlement.'),
  message: 'Invalid virtual machine configuration.',
};
/** Each bad configuration of the claim about refusals, by what is bad in it. */
const REFUSED: Answers = (
  [
    [/"kernelURL":"\/nowhere/, refusal('NSPOSIXErrorDomain', 2, 'bootLoader.kernelURL')],
    [/"path":"\/nowhere"/, refusal('NSPOSIXErrorDomain', 2, 'shares[0]')],
    [/"path":"\/nowhere\/disk/, refusal('NSPOSIXErrorDomain', 2, 'disks[0]')],
    [/xxxx/, refusal('VZErrorDomain', 2, 'shares[0]')],
    [/odd\.raw"/, refusal('VZErrorDomain', 5, 'disks[0]')],
    [/"nbd:\/\/"/, refusal('VZErrorDomain', 2, 'disks[0]')],
    [/not a url/, refusal('RosettaVm', 1, 'disks[0].attachment.url')],
    [/"memorySize":1048576,/, refusal('VZErrorDomain', 2)],
    [/"CPUCount":4096/, refusal('VZErrorDomain', 2)],
    [/"hello"/, refusal('RosettaVm', 1, 'network.MACAddress')],
    [/"machineIdentifier":"!"/, refusal('RosettaVm', 1, 'machineIdentifier')],
  ] as const
).map(([pattern, failure]) => [pattern, json(failure)]);

/** A Mac on which everything is as hoped. */
export const GOOD_MAC: Answers = [
  [/sw_vers -productVersion/, { stdout: '26.1' }],
  [/sw_vers -buildVersion/, { stdout: '25B78' }],
  [/machdep\.cpu\.brand_string/, { stdout: 'Apple M4' }],
  [/hw\.memsize/, { stdout: '25769803776' }],
  [/hw\.ncpu/, { stdout: '10' }],
  [/hw\.optional\.arm64/, { stdout: '1' }],
  [/kern\.hv_vmm_present/, { stdout: '0' }],
  [/xcode-select/, { stdout: '/Library/Developer/CommandLineTools' }],
  [/csrutil/, { stdout: 'System Integrity Protection status: enabled.' }],
  [/^\/opt\/homebrew\/bin\/node/, { exitCode: null, absent: true }],
  [/node -e process\.stdout/, { stdout: '["22.23.2","arm64"]' }],
  [/--version$/, { stdout: '0.1.0' }],
  [/doctor --fix --json/, json(DOCTOR)],
  [/^\/opt\/node\/bin\/node -e .*createMachine/s, json(NOT_ENTITLED)],
  [/rosetta-vm-host -e .*worker_threads/s, { stdout: 'ended' }],
  [/rosetta-vm-host -e .*hostReport/s, json({ ...macReport(26, 1), protocol: ADDON_PROTOCOL })],
  [/ -p require\("node:os"\)\.release\(\)/, { stdout: '25.1.0\n' }],
  [
    /rosetta-vm-host -e .*"pause"\],\["resume"/s,
    lines(state('running'), state('paused'), state('running'), state('stopped')),
  ],
  [/\/reset\.log/, lines(state('running'), state('stopped'), { event: 'stopped', error: null })],
  [/\/limit\.log/, lines(state('paused'), state('paused'), { id: 1, ok: false, error: refusal('VZErrorDomain', 6) })],
  [/\/descriptor\.log/, lines({ descriptor: 'AF_UNIX', before: true, after: true })],
  [/\/nbd\.log/, lines(CONNECTED)],
  [
    /\/nbd-reconnect\.log/,
    lines(CONNECTED, { ...CONNECTED, kind: 'error', error: refusal('VZErrorDomain', 20002) }, CONNECTED),
  ],
  [/rosetta-vm-host -e .*\[\[\["start"\]/s, { stdout: DONE }],
  ...REFUSED,
  [/rosetta-vm-host(-hardened)? -e .*createMachine/s, { stdout: 'made' }],
  [/cp |codesign|mkfile/, {}],
  [/ up mac-check/, status('running')],
  [/ down mac-check/, {}],
  [/ delete mac-check/, {}],
  [/for i in \$\(seq/, { stdout: Array.from({ length: 40 }, (_, index) => `number-${index + 1}`).join('\n') }],
  [/still-there/, { stdout: 'still-there' }],
  [/sha256sum \/data/, { stdout: `${'a'.repeat(64)}  /data/mac-check.bin` }],
  [/date \+%s/, { stdout: '1800000000' }],
  [
    /cat \/proc\/sys\/fs\/binfmt_misc\/rvm-rosetta/,
    { stdout: 'enabled\ninterpreter /dev/rvm-rosetta-share/rosetta\nflags: POCF\n' },
  ],
  [/--probe/, json([{ translator: 'rosetta', cache: true, entries: null }])],
  [/proc\/net\/unix/, { stdout: '12 srwxrw-rw- /dev/rvm-rosetta/rosetta.sock' }],
  [/pkill -KILL/, { stdout: 'killed' }],
  [/pgrep/, { stdout: '42' }],
  [/login_shell/, { stdout: 'login' }],
  [/mkdir -p /, {}],
  [/ build --machine mac-check --tag /, {}],
  [/docker save/, { stdout: 'step-of-root\nhome/ada/step-of-ada' }],
  [/ exec --no-stdin mac-check/, { stdout: 'fine' }],
];

export interface StandInMac {
  readonly run: CommandRunner;
  readonly calls: { readonly line: string; readonly options: CommandOptions }[];
}

/** The good Mac, with these answers before its own. */
export function standInMac(differences: Answers = []): StandInMac {
  const calls: StandInMac['calls'] = [];
  let entries = 4;
  let stopped = false;
  const run: CommandRunner = async (argv, options) => {
    const line = argv.join(' ');
    calls.push({ line, options });
    options.signal?.throwIfAborted();
    const found = [...differences, ...GOOD_MAC].find(([pattern]) => pattern.test(line));
    if (typeof found?.[1] === 'function') return found[1]();
    if (found !== undefined && differences.includes(found)) return ended(found[1]);
    // What has a memory.
    if (/ down mac-check/.test(line)) stopped = true;
    if (/ up mac-check/.test(line)) stopped = false;
    if (/ status mac-check/.test(line)) return ended(status(stopped ? 'stopped' : 'running'));
    if (/docker run .*perl -e 'print/.test(line)) entries = 7;
    if (/cache stats/.test(line)) return ended(json(stats(entries)));
    if (found === undefined) return ended({ exitCode: 127, stderr: `The stand-in does not know: ${line}` });
    return ended(found[1]);
  };
  return { run, calls };
}
