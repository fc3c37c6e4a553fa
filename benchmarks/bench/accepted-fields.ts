/** What `--accept` names. */
import { RosettaVmError } from '../../host/errors.ts';
import { suggestKey } from '../../host/spec/suggest.ts';
import { FINGERPRINT_FIELDS, type FingerprintField } from '../compare/fingerprint.ts';

/** Throws `E_USAGE` with a suggestion. */
export function acceptedFields(names: readonly string[]): FingerprintField[] {
  return names.map((name) => {
    const field = FINGERPRINT_FIELDS.find((one) => one === name);
    if (field !== undefined) return field;
    const meant = suggestKey(name, FINGERPRINT_FIELDS);
    throw new RosettaVmError('E_USAGE', {
      what: `--accept cannot be ${JSON.stringify(name)}.`,
      why: `These are the fields: ${FINGERPRINT_FIELDS.join(', ')}.`,
      fix: meant === undefined ? 'Name one of them.' : `Did you mean ${JSON.stringify(meant)}?`,
      facts: { flag: '--accept', value: name, suggestion: meant ?? null },
    });
  });
}
