/**
 * A probe that runs inside a build step: a tiny x86_64 program, in an image of nothing else, says what it finds there,
 * and the router says who translated it. So it is known from where it counts, and not from what was configured.
 */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { ROSETTA_SOCKET, RVM_DIR, type TranslatorName } from '../../guest/protocol.ts';
import type { AgentClient } from '../channel/agent-client.ts';
import { runBuild } from './build.ts';
import { PLAIN_BUILD } from './request.ts';

export interface ProbeResult {
  /** What ran the program; null when nobody counts, as where Rosetta is registered directly. */
  readonly translator: TranslatorName | null;
  /** Whether the step had the translation cache in reach. */
  readonly cache: boolean;
  /** Entries of the cache that were written and read meanwhile; null when that is not known. */
  readonly entries: { readonly new: number; readonly reused: number } | null;
}

const DOCKERFILE = 'FROM scratch\nCOPY probe /probe\nRUN ["/probe"]\n';

/** Builds the probe's image, keeping nothing. Throws what {@link runBuild} throws. */
export async function probeBuild(agent: AgentClient, signal: AbortSignal): Promise<ProbeResult> {
  const context = await mkdtemp(path.join(tmpdir(), 'rosetta-vm-probe-'));
  try {
    const { backend } = (await agent.health({ signal })).cache;
    await writeFile(path.join(context, 'probe'), probeProgram(backend === 'rosettad' ? ROSETTA_SOCKET : CACHE_FOLDER));
    await chmod(path.join(context, 'probe'), 0o755);
    let said = '';
    const { steps } = await runBuild(
      agent,
      {
        ...PLAIN_BUILD,
        context,
        dockerfile: Buffer.from(DOCKERFILE),
        network: 'none',
        output: { kind: 'none' },
        // A step that BuildKit remembers would run nothing.
        noCache: true,
      },
      {
        signal,
        stdout: new PassThrough(),
        explain: true,
        retry: false,
        onEvent: (event) => {
          if (event.kind === 'log') said = event.line;
        },
      },
    );
    const step = steps.find(({ name }) => name.includes('RUN'));
    const cache = step?.cache ?? null;
    return {
      translator: step?.translators?.[0]?.name ?? null,
      cache: said === 'on',
      entries: cache === null ? null : { new: cache.newEntries, reused: cache.reusedEntries },
    };
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** Where containers find box64's cache. What Rosetta has in reach is its daemon's socket. */
const CACHE_FOLDER = `${RVM_DIR}-cache`;
/** Makes it a program of glibc, which the router gives to the first translator; the file need not be there. */
const INTERPRETER = '/lib64/ld-linux-x86-64.so.2';

/** The whole program: prints `on` or `off`, by whether access(2) finds this path. (elf(5); System V ABI, AMD64.) */
export function probeProgram(cache: string): Buffer {
  const code = Buffer.from(
    [
      '488d3d41000000', // lea  path(%rip), %rdi
      '31f6', //           xor  %esi, %esi       F_OK
      'b815000000', //     mov  $21, %eax        access
      '0f05', //           syscall
      '488d352a000000', // lea  on(%rip), %rsi
      'ba03000000', //     mov  $3, %edx
      '85c0', //           test %eax, %eax
      '740c', //           jz   say
      '488d351d000000', // lea  off(%rip), %rsi
      'ba04000000', //     mov  $4, %edx
      'bf01000000', // say: mov $1, %edi         standard output
      'b801000000', //     mov  $1, %eax         write
      '0f05', //           syscall
      'b83c000000', //     mov  $60, %eax        exit
      '31ff', //           xor  %edi, %edi
      '0f05', //           syscall
    ].join(''),
    'hex',
  );
  const body = Buffer.concat([code, Buffer.from(`on\noff\n${cache}\0`)]);
  const interpreter = Buffer.from(`${INTERPRETER}\0`);
  const headerBytes = 64 + 2 * 56;
  const entry = headerBytes + interpreter.length;
  const headers = Buffer.alloc(headerBytes);
  const start = 0x400000n;
  headers.write('7f454c46020101', 0, 'hex'); // ELF, 64 bits, little endian, version 1
  headers.writeUInt16LE(2, 16); // ET_EXEC
  headers.writeUInt16LE(62, 18); // EM_X86_64
  headers.writeUInt32LE(1, 20);
  headers.writeBigUInt64LE(start + BigInt(entry), 24); // e_entry
  headers.writeBigUInt64LE(64n, 32); // e_phoff
  headers.writeUInt16LE(64, 52); // e_ehsize
  headers.writeUInt16LE(56, 54); // e_phentsize
  headers.writeUInt16LE(2, 56); // e_phnum
  headers.writeUInt16LE(64, 58); // e_shentsize
  segment(64, { type: 3, flags: 4, offset: headerBytes, bytes: interpreter.length, align: 1 }); // PT_INTERP
  segment(120, { type: 1, flags: 5, offset: 0, bytes: entry + body.length, align: 0x1000 }); // PT_LOAD
  return Buffer.concat([headers, interpreter, body]);

  function segment(
    at: number,
    { type, flags, offset, bytes, align }: Readonly<Record<'type' | 'flags' | 'offset' | 'bytes' | 'align', number>>,
  ): void {
    headers.writeUInt32LE(type, at);
    headers.writeUInt32LE(flags, at + 4);
    headers.writeBigUInt64LE(BigInt(offset), at + 8);
    headers.writeBigUInt64LE(start + BigInt(offset), at + 16); // p_vaddr
    headers.writeBigUInt64LE(start + BigInt(offset), at + 24); // p_paddr
    headers.writeBigUInt64LE(BigInt(bytes), at + 32); // p_filesz
    headers.writeBigUInt64LE(BigInt(bytes), at + 40); // p_memsz
    headers.writeBigUInt64LE(BigInt(align), at + 48);
  }
}
