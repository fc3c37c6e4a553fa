/**
 * Messages of translators that people meet in builds, with their cause and what helps: each row from the public report
 * that it names. Pure data; the first row that fits counts.
 */
export interface KnownError {
  readonly id: string;
  /** Searched in what the step printed and in BuildKit's own words. */
  readonly pattern: RegExp;
  readonly why: string;
  readonly fix: string;
  readonly source: string;
}

export const KNOWN_ERRORS: readonly KnownError[] = [
  {
    id: 'rosetta-auxv-hwcap3',
    pattern: /rosetta error: unhandled auxil\w+ vector type 29/,
    why: 'The guest’s kernel (6.13 or later) tells programs of AT_HWCAP3, which this macOS’s Rosetta does not know.',
    fix: 'Update to macOS 26, or use a guest image with a kernel up to 6.12.',
    source: 'lima-vm/lima#3592',
  },
  {
    id: 'rosetta-auxv-rseq',
    pattern: /rosetta error: unhandled auxil\w+ vector type 28/,
    why: 'The guest’s kernel (6.3 or later) tells programs of AT_RSEQ, which Rosetta of macOS 13 does not know.',
    fix: 'Update to macOS 14 or later.',
    source: 'abiosoft/colima#926',
  },
  {
    id: 'rosetta-vdso-hash',
    pattern: /Failed to find vdso DT_HASH/,
    why: 'The guest’s kernel (6.11 or later) dropped DT_HASH from its vDSO; Rosetta of macOS 15.0 to 15.3 needs it.',
    fix: 'Update macOS, or use a guest image with an older kernel.',
    source: 'lima-vm/lima#2891',
  },
  {
    id: 'foreign-loader',
    pattern: /failed to open elf at \/lib64\/ld-linux-x86-64\.so\.2|Could not open '\/lib64\/ld-linux-x86-64\.so\.2'/,
    why: 'An x86_64 program was started in an image without x86_64 libraries: an arm64 image, or one with musl.',
    fix: 'Build that stage for linux/amd64 (FROM --platform=linux/amd64 …), or add the x86_64 C library to it.',
    source: 'DeviceFarmer/stf#763',
  },
  {
    id: 'no-proc',
    pattern: /Unable to open \/proc\/self\/exe: (?:2|40)\b/,
    why: 'The program runs in a chroot without /proc, and Rosetta finds itself through /proc/self/exe.',
    fix: 'Mount proc in the chroot: mount -t proc proc ROOT/proc.',
    source: 'docker/for-mac#6973',
  },
  {
    id: 'isa-level',
    pattern: /CPU does not support x86-64-v[34]/,
    why: 'The image’s C library needs AVX2 (x86-64-v3) or more, which the translator does not offer.',
    fix: 'Use an image for x86-64-v2 (RHEL 9’s family, AlmaLinux 10 v2), or `--translator qemu`.',
    source: 'crc-org/vfkit#265',
  },
  {
    id: 'qemu-go-pointers',
    pattern: /runtime: lfstack\.push invalid packing/,
    why: 'Go’s runtime got addresses above 48 bits: qemu-user and not the fast translator ran this program.',
    fix: 'Look with --explain why it was chosen; a newer Go accepts such addresses.',
    source: 'containerd/nerdctl#3948',
  },
  {
    id: 'futex-pi',
    pattern: /futex\(FUTEX_LOCK_PI_PRIVATE\) failure/,
    why: 'Rosetta of macOS 13 and early 14 fails at priority-inheriting locks on newer kernels.',
    fix: 'Update macOS.',
    source: 'docker/for-mac#7037',
  },
  {
    id: 'rosetta-13-mapping',
    pattern: /VmTracker attempted to allocate existing mapping/,
    why: 'A fault of Rosetta in macOS 13.',
    fix: 'Update to macOS 14 or later.',
    source: 'docker/roadmap#384',
  },
  {
    id: 'rosetta-executable-stack',
    pattern: /cannot enable executable stack/,
    why: 'Rosetta of macOS 14.3 refuses programs that ask for an executable stack.',
    fix: 'Update to macOS 14.4 or later.',
    source: 'docker/for-mac#7180',
  },
  {
    id: 'address-limit',
    pattern: /unable to mmap ExecutableHeap: 12|slab allocator.*: 12\b/,
    why: 'The step limits its address space (ulimit -v), and a translator needs more of that than the program itself.',
    fix: 'Lift the limit in the Dockerfile or in the program’s settings.',
    source: 'orbstack/orbstack#1487',
  },
  {
    id: 'qemu-signal',
    pattern: /qemu: uncaught target signal \d+/,
    why: 'qemu-user ran this program, and the program or its emulation failed.',
    fix: 'Look with --explain why qemu-user was chosen; programs of glibc images run under the fast translator.',
    source: 'docs of QEMU, user mode emulation',
  },
  {
    id: 'not-executable',
    pattern: /exec format error/i,
    why: 'The kernel found nothing that runs this program: it is for another CPU, or a script without its first line.',
    fix: '`rosetta-vm status` says whether the translator is registered; `file` says what the program is.',
    source: 'execve(2), ENOEXEC',
  },
];

/** The row that explains a step's output, or null. */
export function explainOutput(output: string): KnownError | null {
  return KNOWN_ERRORS.find(({ pattern }) => pattern.test(output)) ?? null;
}
