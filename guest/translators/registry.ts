/** Every translator that the guest knows. */
import type { TranslatorName } from '../protocol.ts';
import { box64 } from './box64.ts';
import { qemu } from './qemu.ts';
import { rosetta } from './rosetta.ts';
import type { Translator } from './translator.ts';

export const TRANSLATORS: Readonly<Record<TranslatorName, Translator>> = { box64, qemu, rosetta };
