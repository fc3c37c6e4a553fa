/** JSON in what a command said: programs print other lines before it. */

/** The last line that is JSON, or undefined. */
export function jsonIn(text: string): unknown {
  for (const candidate of [text, ...text.trim().split('\n').reverse()]) {
    try {
      return JSON.parse(candidate);
    } catch {
      // Not this one.
    }
  }
  return undefined;
}
