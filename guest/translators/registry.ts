/** Every translator that the guest knows. */
import type { BootConfig, TranslatorName } from '../protocol.ts';
import { box64 } from './box64.ts';
import { qemu } from './qemu.ts';
import { rosetta, routedRosetta } from './rosetta.ts';
import type { Translator } from './translator.ts';

/** As the host's settings want them. */
export const translatorsFor = (config: BootConfig['translator']): Readonly<Record<TranslatorName, Translator>> => ({
  box64,
  qemu,
  rosetta: config.router === true ? routedRosetta : rosetta,
});
