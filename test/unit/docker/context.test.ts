import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { contextName, dropContext, selectContext } from '../../../host/docker/context.ts';
import { temporaryFolder } from '../machine/temporary.ts';

interface Docker {
  readonly env: NodeJS.ProcessEnv;
  readonly config: string;
  select(machine: string, env?: NodeJS.ProcessEnv): ReturnType<typeof selectContext>;
  drop(machine: string): Promise<void>;
  /** Name of the selected context; null is docker's default. */
  current(): Promise<string | null>;
  contexts(): Promise<string[]>;
  /** Makes a context as the docker command line does. */
  make(name: string): Promise<void>;
}

const socketOf = (machine: string): string => `/run/${machine}/docker.sock`;

async function docker(config?: object): Promise<Docker> {
  const directory = path.join(await temporaryFolder(), 'docker');
  const file = path.join(directory, 'config.json');
  if (config !== undefined) {
    await mkdir(directory);
    await writeFile(file, JSON.stringify(config));
  }
  const env = { DOCKER_CONFIG: directory };
  const meta = path.join(directory, 'contexts/meta');
  return {
    env,
    config: file,
    select: (machine, more = {}) => selectContext(machine, socketOf(machine), { ...env, ...more }),
    drop: (machine) => dropContext(machine, socketOf(machine), env),
    current: async () => {
      const { currentContext = null } = JSON.parse(await readFile(file, 'utf8')) as { currentContext?: string };
      return currentContext;
    },
    contexts: async () => {
      const folders = await readdir(meta);
      const texts = await Promise.all(folders.map((name) => readFile(path.join(meta, name, 'meta.json'), 'utf8')));
      return texts.map((text) => (JSON.parse(text) as { Name: string }).Name).sort();
    },
    make: async (name) => {
      const folder = path.join(meta, createHash('sha256').update(name).digest('hex'));
      await mkdir(folder, { recursive: true });
      const Endpoints = { docker: { Host: 'ssh://far', SkipTLSVerify: false } };
      await writeFile(path.join(folder, 'meta.json'), JSON.stringify({ Name: name, Metadata: {}, Endpoints }));
    },
  };
}

test('the default machine’s context is called after the tool, another’s also after the machine', () => {
  expect(contextName('default')).toBe('rosetta-vm');
  expect(contextName('ci')).toBe('rosetta-vm-ci');
});

describe('a machine that comes up', () => {
  test('gets a context and is selected, also where docker was never used', async () => {
    const { select, current, contexts, env } = await docker();
    expect(await select('default')).toEqual({ name: 'rosetta-vm', problem: null });
    expect(await current()).toBe('rosetta-vm');
    expect(await contexts()).toEqual(['rosetta-vm']);
    expect((await stat(env.DOCKER_CONFIG ?? '')).mode & 0o777).toBe(0o700);
  });

  test('leaves everything else in docker’s configuration as it is', async () => {
    const { select, drop, config } = await docker({
      auths: { a: { auth: 'x' } },
      currentContext: 'work',
      detachKeys: 'z',
    });
    await select('default');
    expect(JSON.parse(await readFile(config, 'utf8'))).toEqual({
      auths: { a: { auth: 'x' } },
      currentContext: 'rosetta-vm',
      detachKeys: 'z',
    });
    await drop('default');
    expect(JSON.parse(await readFile(config, 'utf8'))).toMatchObject({ auths: { a: { auth: 'x' } }, detachKeys: 'z' });
  });

  test('keeps the configuration’s rights, and the link that it is', async () => {
    const { select, config } = await docker({});
    const real = path.join(path.dirname(config), 'elsewhere.json');
    await writeFile(real, '{}');
    await chmod(real, 0o640);
    await rm(config);
    await symlink(real, config);
    await select('default');
    expect((await lstat(config)).isSymbolicLink()).toBe(true);
    expect((await stat(real)).mode & 0o777).toBe(0o640);
    expect(JSON.parse(await readFile(real, 'utf8'))).toEqual({ currentContext: 'rosetta-vm' });
  });

  test.each(['DOCKER_HOST', 'DOCKER_CONTEXT'])('says so when %s makes docker use something else', async (variable) => {
    const { select } = await docker();
    expect((await select('default', { [variable]: 'mine' })).problem).toContain(variable);
  });

  test('does not touch a context of that name that somebody else made', async () => {
    const { select, make, drop, contexts, config } = await docker({});
    await make('rosetta-vm');
    expect((await select('default')).problem).toContain('did not make');
    await drop('default');
    expect(await contexts()).toEqual(['rosetta-vm']);
    expect(await readFile(config, 'utf8')).toBe('{}');
  });

  test.each([
    ['is not JSON', '{'],
    ['is no object', '[]'],
    ['has another kind of context', '{"currentContext":7}'],
  ])('fails without a change when the configuration %s', async (_what, text) => {
    const { select, config } = await docker({});
    await writeFile(config, text);
    await expect(select('default')).rejects.toMatchObject({ code: 'E_INVALID', facts: { file: config } });
    expect(await readFile(config, 'utf8')).toBe(text);
  });
});

describe('a machine that goes', () => {
  test('takes its context along and puts the earlier one back', async () => {
    const { select, drop, make, current, contexts } = await docker({ currentContext: 'work' });
    await make('work');
    await select('default');
    await drop('default');
    expect(await current()).toBe('work');
    expect(await contexts()).toEqual(['work']);
    await drop('default');
    expect(await current()).toBe('work');
  });

  test('leaves docker’s default when the earlier context is gone', async () => {
    const { select, drop, current } = await docker({ currentContext: 'work' });
    await select('default');
    await drop('default');
    expect(await current()).toBe(null);
  });

  test('leaves alone what the user selected meanwhile', async () => {
    const { select, drop, make, current, config } = await docker({});
    await make('work');
    await select('default');
    await writeFile(config, '{"currentContext":"work"}');
    await drop('default');
    expect(await current()).toBe('work');
  });

  test('does nothing when the context leads to a machine of the same name in other state', async () => {
    const { select, current, env } = await docker({});
    await select('default');
    await dropContext('default', '/other/docker.sock', env);
    expect(await current()).toBe('rosetta-vm');
  });

  test('does nothing, and makes nothing, where docker was never used', async () => {
    const { drop, env } = await docker();
    await drop('default');
    await expect(stat(env.DOCKER_CONFIG ?? '')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('after a crash', () => {
  test('the context before the machine is still known', async () => {
    const { select, drop, make, current } = await docker({ currentContext: 'work' });
    await make('work');
    await select('default');
    // The host process was killed; the machine comes up again, and goes.
    await select('default');
    await drop('default');
    expect(await current()).toBe('work');
  });

  test('a context that was made and not yet selected is no obstacle', async () => {
    const { select, drop, make, current, config } = await docker({ currentContext: 'work' });
    await make('work');
    await select('default');
    await writeFile(config, '{"currentContext":"work"}');
    await select('default');
    expect(await current()).toBe('rosetta-vm');
    await drop('default');
    expect(await current()).toBe('work');
  });
});

describe('several machines', () => {
  test.each([[['a', 'b']], [['b', 'a']]])(
    'end in the order %j, and docker is where it was before the first',
    async (order) => {
      const { select, drop, make, current, contexts } = await docker({ currentContext: 'work' });
      await make('work');
      await select('a');
      await select('b');
      expect(await current()).toBe('rosetta-vm-b');
      for (const machine of order) await drop(machine);
      expect(await current()).toBe('work');
      expect(await contexts()).toEqual(['work']);
    },
  );

  test('come and go at the same time', async () => {
    const { select, drop, current, contexts } = await docker({ auths: {} });
    const names = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(names.map((name) => select(name)));
    expect(await contexts()).toHaveLength(names.length);
    await Promise.all(names.map((name) => drop(name)));
    expect(await current()).toBe(null);
    expect(await contexts()).toEqual([]);
  });
});
