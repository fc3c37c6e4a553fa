/** Saving and restoring, against the rules that Apple documents. Nothing was run on a Mac. */
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { eventually, macDriver, running, startablePlan } from './machines.ts';

describe('saving and restoring', () => {
  async function paused() {
    const all = await running();
    await all.machine.pause();
    return { ...all, file: path.join(path.dirname(all.plan.serialLog), 'state') };
  }

  test('goes on paused, in a new machine, from a whole file', async () => {
    const { machine, file, driver, plan, addon } = await paused();
    await machine.save(file);
    expect(machine.state).toBe('paused');
    await machine.stop();
    const other = await driver.create(plan);
    onTestFinished(() => other.stop());
    await other.restore(file);
    expect(other.state).toBe('paused');
    await other.resume();
    expect(addon.machine.state).toBe('running');
  });

  test('is refused while the machine runs, and while it is being saved nothing else is taken up', async () => {
    const { machine, addon, file } = await paused();
    addon.world.hangs.add('save');
    const saving = expect(machine.save(file)).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    await eventually(() => addon.machine.asked.includes('save'));
    await expect(machine.resume()).rejects.toMatchObject({ code: 'E_STATE', why: expect.stringContaining('save') });
    await saving;
    await machine.resume();
    await expect(machine.save(file)).rejects.toMatchObject({ code: 'E_STATE', facts: { state: 'running' } });
  });

  test('names the device that cannot be saved', async () => {
    const { machine, addon, file } = await paused();
    addon.world.unsaveable = 'console device';
    await expect(machine.save(file)).rejects.toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      facts: { devices: ['console device'], code: 2 },
    });
    expect(machine.state).toBe('paused');
  });

  test('names it before a restore too, and the machine can still be started', async () => {
    const { machine, file, driver, plan, addon } = await paused();
    await machine.save(file);
    await machine.stop();
    const other = await driver.create(plan);
    onTestFinished(() => other.stop());
    addon.world.unsaveable = 'console device';
    await expect(other.restore(file)).rejects.toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      facts: { devices: ['console device'], verb: 'restore', code: 2 },
    });
    expect(other.state).toBe('stopped');
    await other.start();
  });

  test('leaves nothing of a file that could not be finished', async () => {
    const { machine, addon, file, plan } = await paused();
    addon.world.diskFull = true;
    await expect(machine.save(file)).rejects.toMatchObject({ facts: { name: 'VZErrorSave' } });
    expect((await readdir(path.dirname(plan.serialLog))).filter((name) => name.startsWith('state'))).toEqual([]);
  });

  test.each([
    ['of another machine', '{}', 'E_VM_FAILED'],
    ['of another Mac', 'another Mac', 'E_HOST_UNSUPPORTED'],
  ])('a state %s is refused, and the machine can still be started', async (_what, content, code) => {
    const { driver } = macDriver();
    const plan = await startablePlan();
    const file = path.join(path.dirname(plan.serialLog), 'state');
    await writeFile(file, content);
    const machine = await driver.create(plan);
    onTestFinished(() => machine.stop());
    await expect(machine.restore(file)).rejects.toMatchObject({ code, facts: { name: 'VZErrorRestore' } });
    expect(machine.state).toBe('stopped');
    await machine.start();
  });

  test('paths are checked first', async () => {
    const { machine, plan } = await paused();
    await expect(machine.save('state')).rejects.toMatchObject({ code: 'E_USAGE' });
    const nowhere = path.join(path.dirname(plan.serialLog), 'none', 'state');
    await expect(machine.save(nowhere)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await machine.stop();
    await expect(machine.restore(nowhere)).rejects.toMatchObject({ code: 'E_NOT_FOUND', facts: { path: nowhere } });
    expect(machine.state).toBe('stopped');
  });
});
