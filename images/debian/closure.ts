/** The packages that a list of packages needs, without Recommends; the same indexes and list give the same answer. */
import { RosettaVmError } from '../../host/errors.ts';
import type { DebianPackage, PackagesIndex } from './packages.ts';
import { type Alternatives, formatAlternatives, meetsProvision, meetsVersion, type Relation } from './relation.ts';
import { compareVersions } from './version.ts';

export interface ClosureRequest {
  /** Indexes by suite; the newest version that fits is taken, whichever suite has it. */
  readonly indexes: ReadonlyMap<string, PackagesIndex>;
  readonly architecture: string;
  readonly packages: readonly string[];
  /** Never taken, and nothing that needs one fails for it: what they do is done by other means. */
  readonly exclude?: ReadonlySet<string>;
  /** Package → the one suite to take it from. */
  readonly pins?: ReadonlyMap<string, string>;
}

/**
 * The closure, sorted by name. Of alternatives, the one that is chosen already wins, else the first that exists (as
 * apt does). Conflicts are not examined: the declared list is chosen to have none.
 * Throws `E_NOT_FOUND` that names the chain from the list to what is missing.
 */
export function dependencyClosure(request: ClosureRequest): DebianPackage[] {
  const chosen = new Map<string, DebianPackage>();
  const queue: { readonly one: DebianPackage; readonly chain: readonly string[] }[] = [];
  const choose = (one: DebianPackage, chain: readonly string[]): void => {
    if (chosen.has(one.name)) return;
    chosen.set(one.name, one);
    queue.push({ one, chain: [...chain, one.name] });
  };

  // The whole list first, so that an alternative already asked for is not joined by its rival.
  for (const name of request.packages) {
    const one = candidates({ name }, request)[0];
    if (one === undefined) throw unsatisfiable(request, [], [{ name }]);
    choose(one, []);
  }
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const alternatives of next.one.depends) {
      if (alternatives.some((relation) => isMet(relation, chosen, request))) continue;
      const one = alternatives.flatMap((relation) => candidates(relation, request))[0];
      if (one === undefined) throw unsatisfiable(request, next.chain, alternatives);
      if (chosen.has(one.name)) throw unsatisfiable(request, next.chain, alternatives, chosen.get(one.name));
      choose(one, next.chain);
    }
  }
  return [...chosen.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function isMet(relation: Relation, chosen: ReadonlyMap<string, DebianPackage>, request: ClosureRequest): boolean {
  if (!forThisArchitecture(relation, request)) return false;
  if (request.exclude?.has(relation.name) === true) return true;
  const named = chosen.get(relation.name);
  if (named !== undefined && meetsVersion(relation, named.version)) return true;
  return [...chosen.values()].some((one) => one.provides.some((provided) => meetsProvision(relation, provided)));
}

/** Packages that meet the relation: by their own name, newest first, then by what they provide. */
function candidates(relation: Relation, request: ClosureRequest): DebianPackage[] {
  if (!forThisArchitecture(relation, request)) return [];
  return [...matching('named', relation, request), ...matching('providing', relation, request)];
}

function matching(how: 'named' | 'providing', relation: Relation, request: ClosureRequest): DebianPackage[] {
  const found: DebianPackage[] = [];
  for (const [suite, index] of request.indexes) {
    for (const one of index[how](relation.name)) {
      const pin = request.pins?.get(one.name);
      if (pin !== undefined && pin !== suite) continue;
      if (request.exclude?.has(one.name) === true) continue;
      const meets =
        how === 'named'
          ? meetsVersion(relation, one.version)
          : one.provides.some((provided) => meetsProvision(relation, provided));
      if (meets) found.push(one);
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : compareVersions(b.version, a.version)));
}

/** `name:any` and the own architecture can be met here, `name:amd64` on arm64 cannot (Policy 7.1, multi-arch). */
function forThisArchitecture({ qualifier }: Relation, { architecture }: ClosureRequest): boolean {
  return qualifier === undefined || qualifier === 'any' || qualifier === architecture;
}

function unsatisfiable(
  request: ClosureRequest,
  chain: readonly string[],
  wanted: Alternatives,
  conflicting?: DebianPackage,
): RosettaVmError {
  const relation = formatAlternatives(wanted);
  const suites = [...request.indexes.keys()].join(', ');
  const path = [...chain, relation].join(' → ');
  return new RosettaVmError('E_NOT_FOUND', {
    what: `The package ${relation} cannot be had.`,
    why:
      conflicting === undefined
        ? `${path}: nothing in ${suites} (${request.architecture}) fits.`
        : `${path}: ${conflicting.name} ${conflicting.version} from ${conflicting.suite} was chosen before.`,
    fix: 'Correct the package list, or try again later: a suite that is being updated may lack a package for some hours.',
    facts: { chain: [...chain, relation] },
  });
}
