/** How the addon reads a configuration (native/src/fields.mm; stand-in, see vz-addon.ts): all there, bounded, none unknown. */
import { z } from 'zod';
import { ADDON_FAILURES, type VzConfiguration, type VzFailure } from '../../host/drivers/vz/addon.ts';
import { addonFailure } from './vz-failures.ts';

const MAX_TEXT_BYTES = 4096;
/** COMMAND_LINE_SIZE of arm64. */
const MAX_COMMAND_LINE_BYTES = 2048;
const MAX_LIST_LENGTH = 64;
const MAX_PIXELS = 16_384;
const MAX_TIMEOUT_S = 86_400;

const text = (maximum = MAX_TEXT_BYTES) =>
  z
    .string('must be a text')
    .refine((value) => !value.includes('\0'), 'must not hold a NUL character')
    .refine((value) => Buffer.byteLength(value) <= maximum, `is longer than ${maximum} bytes`);
const flag = z.boolean('must be true or false');
const whole = (maximum: number) => z.int('must be an integer').min(1).max(maximum);
const list = <T extends z.ZodType>(item: T) => z.array(item, 'must be a list').max(MAX_LIST_LENGTH);

const attachment = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('file'), path: text() }),
  z.strictObject({ kind: z.literal('block'), path: text() }),
  z.strictObject({ kind: z.literal('nbd'), url: text(), timeout: z.number().min(0).max(MAX_TIMEOUT_S) }),
]);
const caching = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('unix'), path: text() }),
  z.strictObject({ kind: z.literal('abstract'), name: text() }),
]);

const configuration: z.ZodType<VzConfiguration> = z.strictObject({
  label: text(),
  CPUCount: whole(Number.MAX_SAFE_INTEGER),
  memorySize: whole(Number.MAX_SAFE_INTEGER),
  machineIdentifier: text(),
  bootLoader: z.strictObject({
    kernelURL: text(),
    initialRamdiskURL: text().nullable(),
    commandLine: text(MAX_COMMAND_LINE_BYTES),
  }),
  disks: list(z.strictObject({ bus: z.enum(['nvme', 'virtio', 'usb']), readOnly: flag, attachment })),
  shares: list(z.strictObject({ tag: text(), path: text(), readOnly: flag })),
  rosetta: z.strictObject({ tag: text(), caching: caching.nullable() }).nullable(),
  network: z.strictObject({ MACAddress: text() }),
  serialLog: text(),
  graphics: z.strictObject({ widthInPixels: whole(MAX_PIXELS), heightInPixels: whole(MAX_PIXELS) }).nullable(),
  macKeyboard: flag,
});

/** The configuration, or the refusal of the first field that is not as the contract says. */
export function readConfiguration(json: string): VzConfiguration | VzFailure {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    return wrong('', `is no JSON: ${(error as Error).message}`);
  }
  const result = configuration.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  return wrong(subjectOf([...(issue?.path ?? []), ...unknown]), issue?.message ?? '');
}

/** A kind or a bus that there is none of is told of the part that it would have been. */
function subjectOf(path: readonly PropertyKey[]): string {
  return path
    .reduce<string>((place, part) => {
      if (typeof part === 'number') return `${place}[${part}]`;
      return place === '' ? String(part) : `${place}.${String(part)}`;
    }, '')
    .replace(/(\.attachment)?\.kind$|\.bus$/, '');
}

const wrong = (subject: string, rule: string): VzFailure =>
  addonFailure(
    ADDON_FAILURES.invalid,
    'The configuration is not as the contract says.',
    subject,
    `${subject || 'It'} ${rule}.`,
  );
