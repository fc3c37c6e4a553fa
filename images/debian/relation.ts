/** Relationship fields: `Depends`, `Pre-Depends`, `Provides` (Debian Policy 7.1, 7.5). */
import { RosettaVmError } from '../../host/errors.ts';
import { satisfiesVersion, type VersionOperator } from './version.ts';

export interface Relation {
  readonly name: string;
  /** Architecture qualifier after the colon, such as `any` or `amd64`. */
  readonly qualifier?: string;
  readonly version?: { readonly operator: VersionOperator; readonly wanted: string };
}

/** One comma-separated element: any of its alternatives will do. */
export type Alternatives = readonly Relation[];

// Names: Policy 5.6.7. `<` and `>` are the obsolete spellings of <= and >= (Policy 7.1).
const RELATION = /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()]+)\s*\))?$/i;

/** Longest field: the largest in trixie and sid is below 20,000 characters. */
const MAX_CHARACTERS = 1024 * 1024;

/** Parses a relationship field of a binary package. Throws `E_INVALID`. */
export function parseRelations(field: string): Alternatives[] {
  if (field.length > MAX_CHARACTERS) throw invalid(field);
  return field
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '')
    .map((element) => element.split('|').map((alternative) => parseRelation(alternative.trim())));
}

function parseRelation(text: string): Relation {
  const match = RELATION.exec(text);
  const name = match?.[1];
  if (match === null || name === undefined) throw invalid(text);
  const [, , qualifier, operator, wanted] = match;
  return {
    name,
    ...(qualifier === undefined ? {} : { qualifier }),
    ...(operator === undefined || wanted === undefined
      ? {}
      : {
          version: {
            operator: operator === '<' ? '<=' : operator === '>' ? '>=' : (operator as VersionOperator),
            wanted,
          },
        }),
  };
}

/** The form that people know from `apt show`. */
export function formatAlternatives(alternatives: Alternatives): string {
  return alternatives
    .map(({ name, qualifier, version }) => {
      const constraint = version === undefined ? '' : ` (${version.operator} ${version.wanted})`;
      return `${name}${qualifier === undefined ? '' : `:${qualifier}`}${constraint}`;
    })
    .join(' | ');
}

/** Whether a package of this name's version meets the relation; the architecture is the caller's affair. */
export function meetsVersion(relation: Relation, version: string): boolean {
  return (
    relation.version === undefined || satisfiesVersion(version, relation.version.operator, relation.version.wanted)
  );
}

/**
 * Whether a `Provides` element meets the relation. An unversioned provision satisfies no versioned relation
 * (Policy 7.5).
 */
export function meetsProvision(relation: Relation, provided: Relation): boolean {
  if (provided.name !== relation.name) return false;
  if (relation.version === undefined) return true;
  return provided.version?.operator === '=' && meetsVersion(relation, provided.version.wanted);
}

function invalid(text: string): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: 'A package relationship could not be read.',
    why: `${JSON.stringify(text.slice(0, 80))} is not a list of package names.`,
    fix: 'Try again with another mirror (`--mirror`).',
  });
}
