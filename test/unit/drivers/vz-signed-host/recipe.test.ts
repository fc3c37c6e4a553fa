import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ENTITLEMENTS,
  entitlementsPlist,
  grantedEntitlements,
} from '../../../../host/drivers/vz/signed-host/entitlements.ts';
import { hostEnvironment } from '../../../../host/drivers/vz/signed-host/environment.ts';
import {
  type BuildFacts,
  hostKey,
  recipe,
  type Step,
  type Variant,
} from '../../../../host/drivers/vz/signed-host/recipe.ts';

const OFFICIAL: BuildFacts = {
  node: {
    executable: '/Users/a/.nvm/versions/node/v22.23.2/bin/node',
    sizeBytes: 112_900_000,
    modifiedMs: 1_760_000_000_000,
    version: '22.23.2',
    architecture: 'arm64',
    libnode: null,
  },
  version: '0.1.0',
  system: '24.4.0',
  bundle: { path: '/p/dist/machine-host.js', sha256: 'b'.repeat(64) },
  addon: { path: '/p/vz.node', sha256: 'a'.repeat(64) },
};
const HOMEBREW: BuildFacts = {
  ...OFFICIAL,
  node: {
    ...OFFICIAL.node,
    executable: '/opt/homebrew/Cellar/node/25.2.1/bin/node',
    sizeBytes: 68_000,
    libnode: '/opt/homebrew/Cellar/node/25.2.1/lib/libnode.141.dylib',
  },
};

const steps = (facts: BuildFacts, variant: Variant = 'plain'): string[] =>
  recipe({ facts, variant, workspace: '/h/.making-1', destination: '/h/key' }).map(line);

function line(step: Step): string {
  switch (step.kind) {
    case 'folder':
      return `mkdir ${step.path}`;
    case 'copy':
      return `cp ${step.from} ${step.to} ${step.mode.toString(8)}`;
    case 'link':
      return `ln -s ${step.target} ${step.path}`;
    case 'write':
      return `write ${step.path} ${step.mode.toString(8)}`;
    case 'run':
      return step.argv.join(' ');
    case 'rename':
      return `mv ${step.from} ${step.to}`;
  }
}

const SIGN = '/usr/bin/codesign --force --sign - --identifier dev.rosetta-vm.host --timestamp=none';
const REST = [
  '/usr/bin/codesign --verify --strict /h/.making-1/rosetta-vm-host',
  '/usr/bin/codesign --display --entitlements - --xml /h/.making-1/rosetta-vm-host',
  '/h/.making-1/rosetta-vm-host /h/.making-1/self-test.cjs /h/.making-1/vz.node',
  'write /h/.making-1/host.json 600',
  'mv /h/.making-1 /h/key',
];

test('the official node is one file: copied, signed, verified, read back, tried, and only then put in place', () => {
  expect(steps(OFFICIAL)).toEqual([
    'mkdir /h/.making-1',
    'cp /Users/a/.nvm/versions/node/v22.23.2/bin/node /h/.making-1/rosetta-vm-host 700',
    'cp /p/dist/machine-host.js /h/.making-1/machine-host.mjs 600',
    'cp /p/vz.node /h/.making-1/vz.node 700',
    'write /h/.making-1/self-test.cjs 600',
    'write /h/.making-1/entitlements.plist 600',
    `${SIGN} --entitlements /h/.making-1/entitlements.plist /h/.making-1/rosetta-vm-host`,
    ...REST,
  ]);
});

test('Homebrew’s starter gets its library as a link beside it, before anything runs', () => {
  const lines = steps(HOMEBREW);
  const link = 'ln -s /opt/homebrew/Cellar/node/25.2.1/lib/libnode.141.dylib /h/.making-1/libnode.141.dylib';
  expect(lines).toContain(link);
  expect(lines.indexOf(link)).toBeLessThan(lines.findIndex((line) => line.startsWith('/usr/bin/codesign')));
  expect(lines.filter((line) => line !== link)).toEqual(
    steps(OFFICIAL).map((line) => line.replace(OFFICIAL.node.executable, HOMEBREW.node.executable)),
  );
});

test('the second variant differs by the hardened runtime alone', () => {
  const plain = steps(HOMEBREW);
  expect(steps(HOMEBREW, 'hardened')).toEqual(
    plain
      .map((line) => line.replace('--timestamp=none', '--timestamp=none --options runtime'))
      .map((line, index) => (plain[index]?.startsWith(SIGN) ? line : plain[index])),
  );
});

test('nothing that was seen to go wrong is in it', () => {
  for (const facts of [OFFICIAL, HOMEBREW]) {
    for (const variant of ['plain', 'hardened'] as const) {
      const text = steps(facts, variant).join('\n');
      expect(text).not.toMatch(/--deep|--preserve-metadata|install_name_tool|otool|which /);
    }
  }
});

test('the entitlements are the unrestricted one, those that V8 and foreign libraries need, and the NBD client’s', () => {
  expect(ENTITLEMENTS).toEqual([
    'com.apple.security.virtualization',
    'com.apple.security.cs.allow-jit',
    'com.apple.security.cs.allow-unsigned-executable-memory',
    'com.apple.security.cs.disable-executable-page-protection',
    'com.apple.security.cs.disable-library-validation',
    'com.apple.security.cs.allow-dyld-environment-variables',
    'com.apple.security.network.client',
  ]);
  expect(grantedEntitlements(entitlementsPlist())).toEqual(ENTITLEMENTS);
  // The form that `codesign --xml` prints is on one line.
  expect(grantedEntitlements(entitlementsPlist().replace(/\n\s*/g, ''))).toEqual(ENTITLEMENTS);
  expect(grantedEntitlements('<key>a</key><false/><key>b</key><true/>')).toEqual(['b']);
});

test('whatever could make a copy stale changes its folder', () => {
  const text = fc.string({ minLength: 1, maxLength: 40 });
  const facts = fc.record({
    node: fc.record({
      executable: text,
      sizeBytes: fc.nat(),
      modifiedMs: fc.nat(),
      version: text,
      architecture: fc.constant('arm64'),
      libnode: fc.option(text),
    }),
    version: text,
    system: text,
    bundle: fc.record({ path: fc.constant('/b'), sha256: text }),
    addon: fc.record({ path: fc.constant('/a'), sha256: text }),
  });
  fc.assert(
    fc.property(facts, facts, (one, other) => {
      expect(hostKey(one)).toMatch(/^[0-9a-f]{16}$/);
      expect(hostKey(one) === hostKey(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
    }),
  );
  const changes: BuildFacts[] = [
    { ...OFFICIAL, version: '0.1.1' },
    { ...OFFICIAL, system: '25.0.0' },
    { ...OFFICIAL, addon: { ...OFFICIAL.addon, sha256: 'c'.repeat(64) } },
    { ...OFFICIAL, bundle: { ...OFFICIAL.bundle, sha256: 'c'.repeat(64) } },
    { ...OFFICIAL, node: { ...OFFICIAL.node, modifiedMs: 1 } },
    { ...OFFICIAL, node: { ...OFFICIAL.node, sizeBytes: 1 } },
    HOMEBREW,
  ];
  expect(new Set([OFFICIAL, ...changes].map(hostKey)).size).toBe(changes.length + 1);
});

test('the host gets the user’s environment without what would change node or its libraries', () => {
  expect(
    hostEnvironment({
      PATH: '/bin',
      HOME: '/Users/a',
      NODE_OPTIONS: '--require /gone.js',
      DYLD_INSERT_LIBRARIES: '/evil.dylib',
      DYLD_LIBRARY_PATH: '/opt',
      NODE_EXTRA_CA_CERTS: '/ca.pem',
    }),
  ).toEqual({ PATH: '/bin', HOME: '/Users/a', NODE_EXTRA_CA_CERTS: '/ca.pem' });
});
