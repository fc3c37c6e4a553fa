/** The whole check of an image: every byte, where {@link findImage} only looks at sizes. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RosettaVmError } from '../host/errors.ts';
import { sha256Of } from './debian/download.ts';
import type { ImageRecord } from './image.ts';

const manifestSchema = z.object({
  files: z.array(z.object({ path: z.string().min(1), sha256: z.string().regex(/^[0-9a-f]{64}$/) })).min(1),
});

/** Reads every file that the manifest lists, a second or two. Throws `E_CORRUPT` that names the first that is not as built. */
export async function verifyImage(image: ImageRecord): Promise<void> {
  const manifest = manifestSchema.safeParse(JSON.parse(await readFile(image.manifest, 'utf8')));
  if (!manifest.success) throw corrupt(image, path.basename(image.manifest));
  await Promise.all(
    manifest.data.files.map(async (file) => {
      if ((await sha256Of(path.join(image.directory, file.path))) !== file.sha256) throw corrupt(image, file.path);
    }),
  );
}

const corrupt = (image: ImageRecord, file: string): RosettaVmError =>
  new RosettaVmError('E_CORRUPT', {
    what: `The image ${image.name} is damaged.`,
    why: `Its file ${file} is not as it was built.`,
    fix: `Remove it with \`rosetta-vm image delete ${image.id}\`, then build it anew with \`rosetta-vm image build\`.`,
    facts: { image: image.id, file },
  });
