/** docker build's flags as data, and the command line that they become in the guest. */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { buildxArguments } from '../../../host/build/arguments.ts';
import {
  type BuildRequest,
  PLAIN_BUILD,
  parseContext,
  parseNamedContext,
  parseOutput,
  parseSecret,
} from '../../../host/build/request.ts';
import { temporaryFolder } from '../machine/temporary.ts';

describe('--output', () => {
  test.each([
    ['out', { kind: 'local', folder: 'out' }],
    ['-', { kind: 'tar', file: null }],
    ['type=local,dest=out', { kind: 'local', folder: 'out' }],
    ['type=tar,dest=a.tar', { kind: 'tar', file: 'a.tar' }],
    ['type=tar', { kind: 'tar', file: null }],
    ['type=oci,dest=-', { kind: 'oci', file: null }],
    ['type=docker,"dest=a,b.tar"', { kind: 'docker', file: 'a,b.tar' }],
    ['type=docker', { kind: 'image' }],
    ['TYPE=image', { kind: 'image' }],
    ['type=cacheonly', { kind: 'none' }],
  ])('%s', (text, expected) => {
    expect(parseOutput(text)).toEqual(expected);
  });

  test.each(['type=registry', 'type=local', 'type=local,dest=-', 'type=oci,dest=a,compression=zstd', 'type=tar,x'])(
    '%s is refused',
    (text) => {
      expect(() => parseOutput(text)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    },
  );

  test('what only Docker’s client does is refused with the way to it', () => {
    expect(() => parseOutput('type=registry')).toThrow(
      expect.objectContaining({ fix: expect.stringContaining('DOCKER_HOST') }),
    );
  });
});

describe('--secret', () => {
  afterEach(() => vi.unstubAllEnvs());

  test.each([
    ['id=a,src=f', { id: 'a', from: { file: 'f' } }],
    ['id=a,source=f', { id: 'a', from: { file: 'f' } }],
    ['id=a,env=V', { id: 'a', from: { variable: 'V' } }],
    ['type=env,id=a', { id: 'a', from: { variable: 'a' } }],
    ['type=file,id=a,src=f=g', { id: 'a', from: { file: 'f=g' } }],
  ])('%s', (text, expected) => {
    expect(parseSecret(text)).toEqual(expected);
  });

  test('with an id alone is the variable of that name, or else the file', () => {
    expect(parseSecret('id=RVM_TEST_SECRET')).toEqual({ id: 'RVM_TEST_SECRET', from: { file: 'RVM_TEST_SECRET' } });
    vi.stubEnv('RVM_TEST_SECRET', 'x');
    expect(parseSecret('id=RVM_TEST_SECRET')).toEqual({ id: 'RVM_TEST_SECRET', from: { variable: 'RVM_TEST_SECRET' } });
  });

  test('without an id is refused', () => {
    expect(() => parseSecret('src=f')).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

describe('contexts', () => {
  test('a named one is a folder or what the engine fetches', () => {
    expect(parseNamedContext('lib=../lib')).toEqual({ name: 'lib', source: { folder: '../lib' } });
    const image = 'docker-image://alpine:3';
    expect(parseNamedContext(`base=${image}`)).toEqual({ name: 'base', source: { reference: image } });
    expect(() => parseNamedContext('lib')).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });

  test('the main one is a folder', () => {
    expect(parseContext('.')).toBe(path.resolve('.'));
    for (const other of ['-', 'https://example.org/x.git', 'git@example.org:x', 'github.com/a/b']) {
      expect(() => parseContext(other)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    }
  });
});

describe('the command line in the guest', () => {
  const plain: BuildRequest = { ...PLAIN_BUILD, context: '/src', dockerfile: '/src/Dockerfile' };
  const places = {
    context: '/data/builds/x/context',
    dockerfile: '/data/builds/x/definition/Dockerfile',
    imageIdFile: '/data/builds/x/image-id',
    secrets: new Map([['tok', '/run/secrets,x/0']]),
    namedContexts: new Map([['lib', '/data/builds/x/contexts/0']]),
  };
  const line = (change: Partial<BuildRequest>): string => buildxArguments({ ...plain, ...change }, places).join(' ');

  test('of a plain build', () => {
    expect(buildxArguments(plain, places).slice(4).join(' ')).toBe(
      'build --builder default --progress rawjson --platform linux/amd64 --file /data/builds/x/definition/Dockerfile --iidfile /data/builds/x/image-id -- /data/builds/x/context',
    );
  });

  test.each(['docker-buildx', 'docker'])('starts %s, buildx itself where it is', async (program) => {
    const folder = await temporaryFolder();
    const plugin = '/usr/libexec/docker/cli-plugins/docker-buildx';
    await writeFile(path.join(folder, program), `#!/bin/sh\nprintf "%s\\n" ${program} "$@"\n`, { mode: 0o755 });
    const [shell = '', ...rest] = buildxArguments({ ...plain, buildArguments: ['A=b c'] }, places).map((argument) =>
      argument.replace(plugin, path.join(folder, 'docker-buildx')),
    );
    const started = execFileSync(shell, rest, { encoding: 'utf8', env: { PATH: `${folder}:${process.env.PATH}` } });
    const [first, ...given] = started.trimEnd().split('\n');
    expect(first).toBe(program);
    expect(given).toEqual([...(program === 'docker' ? ['buildx'] : []), ...rest.slice(3)]);
  });

  test('names the guest’s places of secrets and contexts, never the host’s', () => {
    const secrets = [{ id: 'tok', from: { file: '/home/me/token' } }];
    const namedContexts = [parseNamedContext('lib=/home/me/lib'), parseNamedContext('base=docker-image://alpine')];
    const built = line({ secrets, namedContexts });
    expect(built).toContain('--secret id=tok,"src=/run/secrets,x/0"');
    expect(built).toContain('--build-context lib=/data/builds/x/contexts/0 --build-context base=docker-image://alpine');
    expect(built).not.toContain('/home/me');
  });

  test('takes files on stdout, and images from the engine', () => {
    const files = line({ output: { kind: 'local', folder: 'out' } });
    expect(files).toContain('--output type=tar,dest=-');
    expect(files).not.toContain('--iidfile');
    expect(line({ output: { kind: 'oci', file: 'a.tar' } })).not.toContain('--output');
    expect(line({ output: { kind: 'none' } })).toContain('--output type=cacheonly');
  });

  test('has every flag, repeated ones in their order', () => {
    const built = line({
      tags: ['a', 'b'],
      buildArguments: ['K=V'],
      labels: ['l=1'],
      extraHosts: ['h:1.2.3.4'],
      target: 't',
      network: 'none',
      noCache: true,
      pull: true,
    });
    expect(built).toContain(
      '--tag a --tag b --build-arg K=V --label l=1 --add-host h:1.2.3.4 --target t --network none --no-cache --pull --',
    );
  });
});
