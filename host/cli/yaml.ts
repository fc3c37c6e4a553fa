/** Data as YAML for people; a module of its own, so that the library is loaded only by who prints it. */
import { stringify } from 'yaml';

/** Lines are not folded: a command line must stay one line. */
export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}
