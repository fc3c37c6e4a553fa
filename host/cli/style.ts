/** What the terminal of a person can show: colours, and how wide. */
import { styleText } from 'node:util';

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
}

const paint =
  (format: Parameters<typeof styleText>[0]) =>
  (text: string): string =>
    styleText(format, text);

const COLOURED: Style = {
  bold: paint('bold'),
  dim: paint('dim'),
  red: paint('red'),
  green: paint('green'),
  yellow: paint('yellow'),
};

const same = (text: string): string => text;
export const PLAIN: Style = { bold: same, dim: same, red: same, green: same, yellow: same };

/** Columns to break text to; a terminal that was never given a size (0 by 0), as in some CI, breaks nothing. */
export function widthOf(stream: NodeJS.WriteStream): number {
  return stream.columns > 0 ? stream.columns : Number.POSITIVE_INFINITY;
}

/** `hasColors` of Node's terminals honours NO_COLOR, FORCE_COLOR and TERM=dumb (tty.WriteStream, getColorDepth). */
export function styleFor(stream: NodeJS.WriteStream): Style {
  return stream.isTTY && stream.hasColors() ? COLOURED : PLAIN;
}
