/**
 * MachineSpec: what the user may say about a machine, as pure data. `rosetta-vm.yaml` is strict: an unknown key is an
 * error with a suggestion. Everything has a default, so an absent or empty file is a whole spec.
 */
import { z } from 'zod';
import { KERNEL_SERIES, type KernelSeries } from '../../images/kernels.ts';
import { RosettaVmError } from '../errors.ts';
import { checkDiskAttachment } from './disk-attachment.ts';
import { suggestKey } from './suggest.ts';
import { formatSize, GIB, MIB, parseSize } from './units.ts';

/** Names become folder names, socket names and the guest's host name (RFC 1123 label). */
export const MACHINE_NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
export const DEFAULT_MACHINE_NAME = 'default';

/** The image that `up` builds by itself, of the kernel that fits. */
export const DEFAULT_IMAGE = 'default';

const sizeText = z
  .string()
  .max(32)
  .meta({ examples: ['4GiB', '512MiB'] });

const size = (what: string) =>
  z
    .union([sizeText, z.number().nonnegative()], 'A size is text such as "4GiB", or a number of GiB')
    .transform((value) => parseSize(value, what));

const share = z.strictObject({
  path: z.string().min(1).max(1024).describe('Folder on the host; relative to the file, or starting with ~/'),
  mountPoint: z.string().startsWith('/').max(255).describe('Absolute path in the guest'),
  readOnly: z.boolean().default(true).describe('Read-only unless this is false'),
});

const DEFAULT_DISK = 64 * GIB;
const MIN_DISK = 1 * GIB;

/** A size alone stands for a disk of that size with everything else as it comes. */
const disk = z
  .union(
    [
      size('disk').transform((bytes) => ({ size: bytes, bus: 'auto' as const, attachment: undefined })),
      z.strictObject({
        size: size('disk.size')
          .optional()
          .describe(
            'Of the machine’s own disk (sparse; grows only), default 64 GiB; of another, the least it must have',
          ),
        bus: z
          .enum(['auto', 'nvme', 'virtio', 'usb'])
          .default('auto')
          .describe('auto: nvme where the host has it. usb is refused: the guest’s kernel has no USB'),
        attachment: z
          .string()
          .min(1)
          .max(8192)
          .transform(checkDiskAttachment)
          .optional()
          .describe(
            'A disk that is no file of the machine: a block device’s absolute path, or the nbd:// URL of an export',
          ),
      }),
    ],
    'A disk is a size, or a mapping with size, bus and attachment',
  )
  .transform(({ size, bus, attachment }) => {
    if (attachment === undefined) return { size: size ?? DEFAULT_DISK, bus };
    return { size: size ?? MIN_DISK, bus, attachment };
  });

/** YAML takes 6.1 without quotes for a number. */
const kernel = z
  .union([z.enum(['auto', ...KERNEL_SERIES]), z.literal(KERNEL_SERIES.map(Number))])
  .transform((value) => String(value) as 'auto' | KernelSeries);

export const specSchema = z
  .strictObject({
    $schema: z.string().max(1024).optional().describe('For editors; ignored'),
    cpus: z.int().min(1).max(64).optional().describe('Virtual CPUs; default: the host’s, at most 4'),
    memory: size('memory').optional().describe('Guest memory; default: a quarter of the host’s, 2 to 8 GiB'),
    disk: disk.prefault({}).describe('The data disk: its size, or also its bus and where else than in a file it is'),
    image: z.string().max(64).default(DEFAULT_IMAGE).describe('Guest image by name or id'),
    kernel: kernel
      .default('auto')
      .describe('Linux kernel of the default image; auto: the newest that the translator runs under'),
    translator: z
      .enum(['auto', 'box64', 'qemu', 'rosetta'])
      .default('auto')
      .describe('What runs x86_64 programs; auto: rosetta on a Mac, box64 elsewhere'),
    cache: z
      .strictObject({
        enabled: z.boolean().default(true).describe('Keep translations and share them between all processes'),
        limit: size('cache.limit')
          .default(4 * GIB)
          .describe('Over this size the oldest entries go; default: 4 GiB'),
      })
      .prefault({})
      .describe('The translation cache'),
    engine: z
      .strictObject({
        enabled: z.boolean().default(true).describe('Run Docker in the machine and show its socket on the host'),
        buildCache: size('engine.buildCache')
          .default(16 * GIB)
          .describe('Over this size BuildKit drops what it used longest ago; default: 16 GiB'),
      })
      .prefault({})
      .describe('Docker'),
    shares: z.array(share).max(16).default([]).describe('Host folders shown to the guest through virtiofs'),
    rosetta: z
      .strictObject({
        router: z
          .boolean()
          .default(false)
          .describe('Look at each program first, so that `cache deny` counts; argv[0] is then the program’s path'),
      })
      .prefault({})
      .describe('Macs only'),
    qemu: z
      .strictObject({
        accelerator: z
          .enum(['auto', 'kvm', 'tcg'])
          .default('auto')
          .describe('How QEMU runs the CPU; auto proves KVM first'),
      })
      .prefault({})
      .describe('Linux hosts only'),
  })
  .meta({ title: 'rosetta-vm.yaml', description: 'A machine of rosetta-vm' });

/** The spec after defaults: sizes are bytes. */
export type MachineSpec = z.output<typeof specSchema>;
/** What a file or a caller may write. */
export type MachineSpecInput = z.input<typeof specSchema>;

const MIN_MEMORY = 512 * MIB;
/** Less could not hold the translation of one larger program. */
const MIN_CACHE = 1 * MIB;
/** BuildKit keeps at least the layers of the build that runs. */
const MIN_BUILD_CACHE = 1 * MIB;
/** As far as a size can be meant seriously; what the host really has is for the plan to say. */
const MAX_SIZE = 16 * 1024 * GIB;

/**
 * Validates unknown data (parsed YAML or JSON) into a spec. `source` names where it came from in errors. Throws
 * `E_INVALID` with the path of the first wrong key, or `E_SIZE`. A finished spec parses to itself.
 */
export function parseSpec(input: unknown, source = 'the spec'): MachineSpec {
  const result = specSchema.safeParse(input ?? {});
  if (!result.success) throw specError(nearestIssue(result.error.issues[0]), source);
  const spec = result.data;
  checkSize('memory', spec.memory, MIN_MEMORY);
  checkSize('disk', spec.disk.size, MIN_DISK);
  checkSize('cache.limit', spec.cache.limit, MIN_CACHE);
  checkSize('engine.buildCache', spec.engine.buildCache, MIN_BUILD_CACHE);
  return spec;
}

/** JSON Schema (draft 2020-12) of the file, for editors: `rosetta-vm config schema`. */
export function specJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(specSchema, { io: 'input' }) as Record<string, unknown>;
}

/** Throws `E_USAGE` when a machine's name is not usable as a folder, socket and host name. */
export function checkMachineName(name: string): string {
  if (MACHINE_NAME_PATTERN.test(name)) return name;
  throw new RosettaVmError('E_USAGE', {
    what: `${JSON.stringify(name)} cannot be a machine's name.`,
    why: 'A name becomes a folder and the guest’s host name: 1 to 32 of a-z, 0-9 and “-”, not starting or ending with “-”.',
    fix: 'Choose a name such as "default" or "build-1".',
    facts: { name },
  });
}

function checkSize(field: string, bytes: number | undefined, min: number): void {
  if (bytes === undefined || (bytes >= min && bytes <= MAX_SIZE)) return;
  throw new RosettaVmError('E_SIZE', {
    what: `${field} cannot be ${formatSize(bytes)}.`,
    why: `It must be between ${formatSize(min)} and ${formatSize(MAX_SIZE)}; a number without a suffix is GiB.`,
    fix: `Set ${field} to a size within these bounds, such as 4GiB.`,
    facts: { field, bytes, min, max: MAX_SIZE },
  });
}

/** Of a value that may have several shapes, what is wrong with the one that it comes nearest to. */
function nearestIssue(issue: z.core.$ZodIssue | undefined): z.core.$ZodIssue | undefined {
  if (issue?.code !== 'invalid_union') return issue;
  const inner = issue.errors
    .flatMap(([first]) => first ?? [])
    .find(({ code, path }) => code === 'unrecognized_keys' || path.length > 0);
  return inner === undefined ? issue : nearestIssue({ ...inner, path: [...issue.path, ...inner.path] });
}

function specError(issue: z.core.$ZodIssue | undefined, source: string): RosettaVmError {
  const path = (issue?.path ?? []).join('.');
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const full = path === '' ? key : `${path}.${key}`;
    const suggestion = suggestKey(key, knownKeys(issue.path));
    return new RosettaVmError('E_INVALID', {
      what: `Unknown key ${JSON.stringify(full)} in ${source}.`,
      why: 'Keys are checked strictly, so that a typing error is not silently ignored.',
      fix:
        suggestion === undefined
          ? '`rosetta-vm config schema` lists every key.'
          : `Did you mean ${JSON.stringify(path === '' ? suggestion : `${path}.${suggestion}`)}?`,
      facts: { key: full, suggestion: suggestion ?? null },
    });
  }
  return new RosettaVmError('E_INVALID', {
    what: `${path === '' ? 'The content' : JSON.stringify(path)} in ${source} is not valid.`,
    why: issue?.message ?? 'It does not have the documented shape.',
    fix: '`rosetta-vm config schema` shows what is allowed.',
    facts: { key: path, problem: issue?.code ?? null },
  });
}

/** Keys allowed at a path of the schema, read from the schema itself so that the two cannot drift apart. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let node = withKeys(specJsonSchema());
  for (const part of path) node = withKeys(typeof part === 'number' ? node?.items : node?.properties?.[String(part)]);
  return Object.keys(node?.properties ?? {});
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly items?: unknown;
  readonly anyOf?: readonly SchemaNode[];
}

/** Of several shapes, the one that has keys. */
function withKeys(node: unknown): SchemaNode | undefined {
  const schema = node as SchemaNode | undefined;
  return schema?.anyOf?.find(({ properties }) => properties !== undefined) ?? schema;
}
