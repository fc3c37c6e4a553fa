import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { commitOfBuild, commitOfTree } from '../../../benchmarks/measured-commit.ts';
import { sourceState } from '../../../host/dev/source-state.mjs';
import { packageFile } from '../../../host/package-root.ts';
import { temporaryFolder } from '../machine/temporary.ts';

async function repository() {
  const folder = await temporaryFolder();
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=test', '-c', 'user.email=test@example.org', ...args], {
      encoding: 'utf8',
    }).trim();
  git('init', '--quiet');
  writeFileSync(path.join(folder, 'file'), 'one\n');
  git('add', 'file');
  git('commit', '--quiet', '--message', 'one');
  return { folder, git, id: git('rev-parse', 'HEAD') };
}

describe('what a build is made from', () => {
  test('is the commit, and whether the tree had changes', async () => {
    const { folder, id } = await repository();
    expect(sourceState(folder)).toEqual({ id, dirty: false });
    expect(await commitOfTree(folder)).toEqual({ id, dirty: false });
    writeFileSync(path.join(folder, 'file'), 'two\n');
    expect(sourceState(folder)).toEqual({ id, dirty: true });
    expect(await commitOfTree(folder)).toEqual({ id, dirty: true });
  });

  test('is nothing outside git, and in a package within somebody else’s repository', async () => {
    const { folder } = await repository();
    const inside = path.join(folder, 'node_modules/rosetta-vm');
    mkdirSync(inside, { recursive: true });
    expect(sourceState(inside)).toBeNull();
    const outside = await temporaryFolder();
    expect(sourceState(outside)).toBeNull();
    expect(await commitOfTree(outside)).toBeNull();
  });

  test.each([
    ['{"id":"cafe","dirty":true}', '{"id":"cafe","dirty":true}'],
    ['null', 'null'],
  ])('is in the program as the bundler puts it: %s', async (define, expected) => {
    const out = path.join(await temporaryFolder(), 'program.mjs');
    const contents =
      "import { measuredCommit } from './benchmarks/measured-commit.ts'; console.log(JSON.stringify((await measuredCommit()).commit));";
    await build({
      ...{
        stdin: { contents, resolveDir: packageFile('.') },
        outfile: out,
        bundle: true,
        platform: 'node',
        format: 'esm',
      },
      ...{ define: { ROSETTA_VM_SOURCE: define }, logLevel: 'silent' },
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
    expect(execFileSync(process.execPath, [out], { encoding: 'utf8' }).trim()).toBe(expected);
  });
});

describe('what is measured', () => {
  const [one, two] = ['1'.repeat(40), '2'.repeat(40)];

  test('is what was built, not what is checked out, and it is told when that is another', () => {
    const { commit, note } = commitOfBuild({ id: one, dirty: false }, { id: two, dirty: false });
    expect(commit).toEqual({ id: one, dirty: false });
    expect(note).toMatch(/built from the commit 1{10}, and 2{10} is checked out.*npm run build.*rosetta-vm down/);
  });

  test('is what was built when the tree has changed since, which is told too', () => {
    const { commit, note } = commitOfBuild({ id: one, dirty: false }, { id: one, dirty: true });
    expect(commit).toEqual({ id: one, dirty: false });
    expect(note).toMatch(/changes that this program was built without/);
  });

  test('needs no word when both are the same, and where there is no clone', () => {
    expect(commitOfBuild({ id: one, dirty: true }, { id: one, dirty: true }).note).toBeNull();
    expect(commitOfBuild({ id: one, dirty: false }, null)).toEqual({ commit: { id: one, dirty: false }, note: null });
    expect(commitOfBuild(null, { id: two, dirty: false })).toEqual({ commit: null, note: null });
    expect(commitOfBuild(undefined, { id: two, dirty: true })).toEqual({
      commit: { id: two, dirty: true },
      note: null,
    });
  });
});
