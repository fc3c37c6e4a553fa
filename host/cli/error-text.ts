/** How an error looks on a terminal: what happened, why, and what to do, one line each. */
import type { RosettaVmError } from '../errors.ts';
import type { Style } from './style.ts';
import { printable } from './table.ts';

/** Ends with a newline. An unexpected error also shows where it came from, for the report. */
export function renderError(error: RosettaVmError, style: Style): string {
  const lines = [`${style.red('Error:')} ${block(error.what)}`];
  if (error.why !== '') lines.push(`  ${style.dim('Why:')} ${block(error.why)}`);
  if (error.fix !== '') lines.push(`  ${style.dim('Fix:')} ${block(error.fix)}`);
  if (error.code === 'E_INTERNAL' && error.cause instanceof Error && error.cause.stack !== undefined) {
    lines.push(style.dim(error.cause.stack.replace(/^.*?\n(?= +at )/s, '')));
  }
  return `${lines.join('\n')}\n`;
}

/** Later lines of a part, such as a helper's output, stay under their heading. */
function block(text: string): string {
  return text.trimEnd().split('\n').map(printable).join('\n       ');
}
