/** Short names of a session's arms for tables and figures, and their colours. */
import { type Arm, armName } from '../session.ts';
import { ARM_COLOURS } from './style.ts';

export interface ArmLabel {
  readonly label: string;
  /** Class of the style sheet. */
  readonly className: string;
  /** CSS colour. */
  readonly colour: string;
}

/**
 * By the arms' names: `cache warm`, or `cache warm, box64`, without the dimensions in which no arms of the session differ; `native arm64`. In a
 * session whose arms differ in nothing a label has all dimensions.
 */
export function armLabels(arms: readonly Arm[]): ReadonlyMap<string, ArmLabel> {
  const values = new Map<string, Set<string>>();
  for (const { native, dimensions } of arms) {
    for (const [dimension, value] of native ? [] : Object.entries(dimensions)) {
      values.set(dimension, (values.get(dimension) ?? new Set()).add(value));
    }
  }
  const labels = new Map<string, ArmLabel>();
  let next = 0;
  for (const arm of arms) {
    if (labels.has(armName(arm))) continue;
    const name = arm.native ? 'arm-native' : `arm-${next++ % ARM_COLOURS}`;
    labels.set(armName(arm), { label: labelOf(arm, values), className: name, colour: `var(--${name})` });
  }
  return labels;
}

function labelOf({ native, dimensions }: Arm, values: ReadonlyMap<string, ReadonlySet<string>>): string {
  const entries = Object.entries(dimensions);
  const varying = entries.filter(([dimension]) => native || (values.get(dimension)?.size ?? 0) > 1);
  const told = varying.length === 0 ? entries : varying;
  const words = told.map(([dimension, value]) => (dimension === 'translator' ? value : `${dimension} ${value}`));
  return [...(native ? ['native arm64'] : []), ...words].join(', ') || 'the only arm';
}
