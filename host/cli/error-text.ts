/** How an error looks on a terminal: what happened, why, and what to do, one line each. */
import type { RosettaVmError } from '../errors.ts';
import type { Style } from './style.ts';
import { printable, wrap } from './table.ts';

/** Later lines of a part, such as a helper's output, stay under its first. */
const INDENT = '  Why: '.length;

/**
 * Ends with a newline; lines are broken to `width` characters. An unexpected error also shows where it came from, for
 * the report.
 */
export function renderError(error: RosettaVmError, style: Style, width = Number.POSITIVE_INFINITY): string {
  const block = (text: string): string => wrap(text.trimEnd().split('\n').map(printable).join('\n'), width, INDENT);
  const lines = [`${style.red('Error:')} ${block(error.what)}`];
  if (error.why !== '') lines.push(`  ${style.dim('Why:')} ${block(error.why)}`);
  if (error.fix !== '') lines.push(`  ${style.dim('Fix:')} ${block(error.fix)}`);
  if (error.code === 'E_INTERNAL' && error.cause instanceof Error && error.cause.stack !== undefined) {
    lines.push(style.dim(error.cause.stack.replace(/^.*?\n(?= +at )/s, '')));
  }
  return `${lines.join('\n')}\n`;
}
