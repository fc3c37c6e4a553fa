/** Proves what the kernel starts for x86_64 programs, by starting one and looking at it from outside. */
import { spawn } from 'node:child_process';
import { readlink, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const EXIT_CODE = 42;
/** box64 under emulation needs about half a second. */
const TIMEOUT_MS = 30_000;
const LOOK_INTERVAL_MS = 5;

/**
 * A whole x86_64 program: reads its standard input to the end, then exits with 42. So it stays alive, without using the
 * CPU, while it is looked at. The file is one header, one segment and 36 bytes of code (elf(5); System V ABI, AMD64).
 */
export function proofProgram(): Buffer {
  const code = Buffer.from(
    [
      '4883ec10', //     sub  $16, %rsp        room for one byte
      '31c0', //  again: xor  %eax, %eax       0 = read
      '31ff', //         xor  %edi, %edi       from descriptor 0
      '4889e6', //       mov  %rsp, %rsi
      'ba01000000', //   mov  $1, %edx
      '0f05', //         syscall
      '85c0', //         test %eax, %eax
      '7fee', //         jg   again            until end of file or an error
      'b83c000000', //   mov  $60, %eax        60 = exit
      'bf2a000000', //   mov  $42, %edi
      '0f05', //         syscall
    ].join(''),
    'hex',
  );
  const start = 0x400000n;
  const headers = Buffer.alloc(64 + 56);
  headers.write('7f454c46020101', 0, 'hex'); // ELF, 64 bits, little endian, version 1
  headers.writeUInt16LE(2, 16); // ET_EXEC
  headers.writeUInt16LE(62, 18); // EM_X86_64
  headers.writeUInt32LE(1, 20);
  headers.writeBigUInt64LE(start + BigInt(headers.length), 24); // e_entry
  headers.writeBigUInt64LE(64n, 32); // e_phoff
  headers.writeUInt16LE(64, 52); // e_ehsize
  headers.writeUInt16LE(56, 54); // e_phentsize
  headers.writeUInt16LE(1, 56); // e_phnum
  headers.writeUInt16LE(64, 58); // e_shentsize
  headers.writeUInt32LE(1, 64); // PT_LOAD
  headers.writeUInt32LE(5, 68); // readable, executable
  headers.writeBigUInt64LE(start, 80); // p_vaddr
  headers.writeBigUInt64LE(start, 88); // p_paddr
  headers.writeBigUInt64LE(BigInt(headers.length + code.length), 96); // p_filesz
  headers.writeBigUInt64LE(BigInt(headers.length + code.length), 104); // p_memsz
  headers.writeBigUInt64LE(0x1000n, 112); // p_align
  return Buffer.concat([headers, code]);
}

export interface Proof {
  /** /proc/<pid>/exe of the running program: the interpreter, where one is at work. */
  readonly executable: string;
  /** True when the program itself ran too: it ended with its own status. */
  readonly ran: boolean;
}

/**
 * Runs the program from `directory` with `env`. `router` is what the kernel may start first, which then becomes another
 * program. Throws what starting it throws (ENOEXEC: nothing is registered).
 */
export async function proveTranslation(
  directory: string,
  env: Readonly<Record<string, string>>,
  router = '',
): Promise<Proof> {
  const file = path.join(directory, `proof-${process.pid}`);
  await writeFile(file, proofProgram(), { mode: 0o755 });
  try {
    return await observe(file, env, router);
  } finally {
    await rm(file, { force: true });
  }
}

async function observe(file: string, env: Readonly<Record<string, string>>, router: string): Promise<Proof> {
  const child = spawn(file, [], {
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  child.stdin.on('error', () => {});
  try {
    // spawn returns after exec has succeeded, so the link shows the new image already, or the router's.
    const image = async (): Promise<string> =>
      child.pid === undefined ? '' : await readlink(`/proc/${child.pid}/exe`).catch(() => '');
    let executable = await image();
    while (executable === router && executable !== '' && child.exitCode === null && child.signalCode === null) {
      await sleep(LOOK_INTERVAL_MS);
      executable = await image();
    }
    child.stdin.end();
    return { executable, ran: (await ended) === EXIT_CODE };
  } finally {
    child.kill('SIGKILL');
  }
}
