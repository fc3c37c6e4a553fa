import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADDON_PROTOCOL } from '../../../host/drivers/vz/addon.ts';
import { addonFile, loadAddon } from '../../../host/drivers/vz/load-addon.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rosetta-vm-addon-'));
});
afterEach(() => rm(folder, { recursive: true }));

const nowhere = (): never => {
  throw new Error('Cannot find module');
};

/** A module in the addon's place: Node loads it by its ending, and `.node` would want a real library. */
async function file(name: string, text = ''): Promise<string> {
  const full = path.join(folder, name);
  await writeFile(full, text);
  return full;
}

describe('the addon is looked for', () => {
  it('where ROSETTA_VM_ADDON says, then in the platform’s package, then where node-gyp puts it', async () => {
    const [named, packaged, builtHere] = [await file('a'), await file('b'), await file('c')];
    const asked: string[] = [];
    const resolve = (module: string): string => {
      asked.push(module);
      return packaged;
    };
    expect(await addonFile({ env: { ROSETTA_VM_ADDON: named }, resolve, builtHere })).toBe(named);
    expect(asked).toEqual([]);
    expect(await addonFile({ env: { ROSETTA_VM_ADDON: '' }, resolve, builtHere })).toBe(packaged);
    expect(asked).toEqual(['@rosetta-vm/darwin-arm64/vz.node']);
    expect(await addonFile({ env: {}, resolve: nowhere, builtHere })).toBe(builtHere);
  });

  it('in vain: the error names the package and both ways to get it', async () => {
    const builtHere = path.join(folder, 'vz.node');
    await expect(addonFile({ env: {}, resolve: nowhere, builtHere })).rejects.toMatchObject({
      code: 'E_HOST_MISSING',
      fix: expect.stringMatching(/npm install @rosetta-vm\/darwin-arm64@.*npm run build:native/s),
      facts: { package: '@rosetta-vm/darwin-arm64' },
    });
  });

  it.each(['relative/vz.node', '/does/not/exist/vz.node'])('never elsewhere when it is named %s', async (named) => {
    const places = { env: { ROSETTA_VM_ADDON: named }, resolve: () => '/unused', builtHere: await file('c') };
    await expect(addonFile(places)).rejects.toMatchObject({ code: 'E_USAGE', facts: { file: named } });
  });
});

describe('the addon is loaded', () => {
  const load = async (text: string, name = 'vz.cjs') =>
    await loadAddon({ env: { ROSETTA_VM_ADDON: await file(name, text) } });

  it('when it speaks this protocol', async () => {
    expect(await load(`module.exports = { protocol: ${ADDON_PROTOCOL} }`)).toEqual({ protocol: ADDON_PROTOCOL });
  });

  it.each([`module.exports = { protocol: ${ADDON_PROTOCOL + 1} }`, 'module.exports = {}', 'module.exports = null'])(
    'not when it says %s',
    async (text) => {
      await expect(load(text)).rejects.toMatchObject({
        code: 'E_HOST_MISSING',
        why: expect.stringContaining('vz.cjs'),
      });
    },
  );

  it('not when the system refuses it', async () => {
    await expect(load('no library', 'vz.node')).rejects.toMatchObject({
      code: 'E_HOST_MISSING',
      what: expect.stringContaining('cannot be loaded'),
    });
  });
});
