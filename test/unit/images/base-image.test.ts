import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { agentClient } from '../../../host/channel/agent-client.ts';
import { connectUnix } from '../../../host/channel/connect-unix.ts';
import { type BaseImageOptions, imageName } from '../../../images/base-image.ts';
import { makeBaseImage } from '../../../images/index.ts';
import { startTestAgent, TOKEN } from '../guest/agent-harness.ts';
import { temporaryFolder } from '../machine/temporary.ts';
import { serveArchive, type TestArchive } from './support/archive.ts';

/**
 * Stands for docker's client in the guest: keeps what is imported, one folder a name, and knows an image by its name
 * and label. `down` makes it behave as without an engine.
 */
const DOCKER = `#!/bin/sh
home=\${0%/*}
if test -e "$home/down"; then echo 'Cannot connect to the Docker daemon' >&2; exit 1; fi
command=$1; for last; do :; done
case $command in
image)
  for argument; do
    case $argument in
    reference=*) name=\${argument#reference=} ;;
    label=*) label=\${argument#label=} ;;
    esac
  done
  if grep -qsF "LABEL $label" "$home/images/$name/arguments"; then echo sha256:present; fi ;;
import)
  mkdir -p "$home/images/$last"
  printf '%s\\n' "$@" >"$home/images/$last/arguments"
  cat >"$home/images/$last/root.tar"
  echo sha256:new ;;
esac
`;

let archive: TestArchive;
beforeAll(async () => {
  archive = await serveArchive({
    trixie: {
      amd64: ['base-files', 'base-passwd', 'libc-bin', 'mawk', 'make', 'sed'].map((name) => ({
        name,
        files: [{ name: `./usr/bin/${name}`, content: name }],
      })),
    },
  });
});
afterAll(() => archive.close());

/** Folder of the stand-in docker. */
let engine: string;
let options: BaseImageOptions;
beforeEach(async () => {
  const home = await temporaryFolder();
  engine = await temporaryFolder();
  await writeFile(path.join(engine, 'docker'), DOCKER, { mode: 0o755 });
  vi.stubEnv('PATH', `${engine}:${process.env.PATH}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  const agent = await startTestAgent();
  onTestFinished(() => agent[Symbol.asyncDispose]());
  options = {
    agent: agentClient({ connect: () => connectUnix(agent.settings.socket), token: TOKEN }),
    name: 'debian-make',
    store: { images: path.join(home, 'i'), downloads: path.join(home, 'd'), tools: path.join(home, 't') },
    architecture: 'amd64',
    suite: 'trixie',
    packages: ['make'],
    signal: new AbortController().signal,
    mirror: archive.url,
    keys: archive.keys,
    hostRoot: home,
    now: Math.max(Date.now(), Date.parse('2026-11-21T10:00:00Z')) / 1000,
  };
});

const imported = (name: string, file: string) => path.join(engine, 'images', name, file);

describe('a base image', () => {
  it('is the root’s archive, imported for its platform with a label that names it', async () => {
    const image = await makeBaseImage(options);

    expect(image).toMatchObject({
      name: 'debian-make:latest',
      id: 'sha256:new',
      platform: 'linux/amd64',
      loaded: true,
    });
    expect(image.packages.map(({ name }) => name)).toContain('make');
    expect((await stat(imported('debian-make:latest', 'root.tar'))).size).toBe(image.bytes);
    const given = (await readFile(imported('debian-make:latest', 'arguments'), 'utf8')).split('\n');
    expect(given).toEqual(expect.arrayContaining(['linux/amd64', `LABEL org.rosetta-vm.root=${image.root}`]));
    expect(given.some((one) => one.startsWith('ENV PATH=/'))).toBe(true);
  });

  it('is not sent again when the engine has it', async () => {
    const first = await makeBaseImage(options);
    await writeFile(imported('debian-make:latest', 'root.tar'), 'as it was');
    const second = await makeBaseImage(options);

    expect(second).toEqual({ ...first, id: 'sha256:present', loaded: false });
    expect(await readFile(imported('debian-make:latest', 'root.tar'), 'utf8')).toBe('as it was');
  });

  it('is sent anew when the same name is asked for with other packages', async () => {
    const first = await makeBaseImage(options);
    const second = await makeBaseImage({ ...options, packages: ['make', 'sed'] });

    expect(second).toMatchObject({ name: first.name, loaded: true });
    expect(second.root).not.toBe(first.root);
  });

  it('cannot be loaded without an engine, and says so', async () => {
    await writeFile(path.join(engine, 'down'), '');

    await expect(makeBaseImage(options)).rejects.toMatchObject({
      code: 'E_STATE',
      why: expect.stringContaining('Cannot connect to the Docker daemon'),
    });
  });

  it.each([
    ['an upper-case name', { name: 'Debian' }],
    ['an option for a name', { name: '--help' }],
    ['a digest', { name: `debian@sha256:${'0'.repeat(64)}` }],
    ['a tag that is too long', { name: `debian:${'t'.repeat(129)}` }],
    ['a repository that is too long', { name: 'd'.repeat(256) }],
    ['a path for a package', { packages: ['../make'] }],
    ['an option for a package', { packages: ['--help'] }],
    ['a path for a suite', { suite: '../trixie' }],
  ])('is refused for %s before anything is downloaded', async (_, wrong) => {
    const before = archive.requests.length;
    await expect(makeBaseImage({ ...options, ...wrong })).rejects.toMatchObject({ code: 'E_INVALID' });
    expect(archive.requests.length).toBe(before);
  });
});

describe('the name of an image', () => {
  it.each([
    ['debian', 'debian:latest'],
    ['debian-gcc:trixie', 'debian-gcc:trixie'],
    ['me/a.b__c--d:1.0_x', 'me/a.b__c--d:1.0_x'],
    ['localhost:5000/debian', 'localhost:5000/debian:latest'],
    ['registry.example/Team', null],
    ['registry.example:5000/team/debian:13', 'registry.example:5000/team/debian:13'],
    ['a..b', null],
    ['a___b', null],
    ['-a', null],
    ['a/', null],
    ['a:', null],
    ['a\n', null],
    ['', null],
  ])('%j becomes %j', (text, name) => {
    if (name === null) expect(() => imageName(text)).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
    else expect(imageName(text)).toBe(name);
  });

  it('never has anything that a shell or docker’s client would read in another way', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-zA-Z0-9./:_@-]{0,20}$/)), (text) => {
        try {
          expect(imageName(text)).toMatch(/^[A-Za-z0-9][A-Za-z0-9./:_-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$/);
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_INVALID' });
        }
      }),
    );
  });

  it('is decided in time that does not grow with tricks', () => {
    const begun = performance.now();
    for (const text of [`${'a-'.repeat(50_000)}!`, `${'a/'.repeat(50_000)}!`, `${'a.'.repeat(50_000)}:!`]) {
      expect(() => imageName(text)).toThrow();
    }
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});
