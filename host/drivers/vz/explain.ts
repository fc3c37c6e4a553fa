/** A configuration as lines of words, for `up --dry-run`: nothing is started here but what the framework does itself. */
import type { VzConfiguration } from './addon.ts';

/** A line for each part: its name, then `field=value` for each field. Machine-wide fields come first. */
export function explainConfiguration(configuration: VzConfiguration): string[][] {
  const machine: string[] = [];
  const parts: string[][] = [];
  for (const [name, value] of Object.entries(configuration)) {
    if (Array.isArray(value)) {
      parts.push(...value.map((item: unknown, index) => [`${name}[${index}]`, ...fields('', item)]));
    } else if (typeof value === 'object' && value !== null) {
      parts.push([name, ...fields('', value)]);
    } else {
      machine.push(`${name}=${value}`);
    }
  }
  return [['VZVirtualMachineConfiguration', ...machine], ...parts];
}

function fields(prefix: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [`${prefix}=${value}`];
  return Object.entries(value).flatMap(([key, child]) => fields(prefix === '' ? key : `${prefix}.${key}`, child));
}
