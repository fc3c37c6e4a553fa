/** `rosetta-vm build` in the shared machine: contexts, secrets, outputs, failures, and what a translator's failure leads to. */
import { execFileSync, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { packageFile } from '../../host/package-root.ts';
import { type DockerCli, sharedDockerCli } from './docker-cli.ts';
import { amd64Image, compileAmd64, rosettaVm, runInGuest, sharedAgent, sharedMachine } from './support.ts';

/** For steps that need a translator. */
let amd64: string;
let docker: DockerCli;
/** The guest's own static busybox makes images of two steps in seconds, without any translator. */
const NATIVE = ['--platform', 'linux/arm64'];
let busybox: Buffer;

beforeAll(async () => {
  const session = await (await sharedAgent()).exec({ argv: ['cat', '/bin/busybox'], stdin: false });
  session.stderr.resume();
  const chunks: Buffer[] = [];
  for await (const chunk of session.stdout) chunks.push(chunk as Buffer);
  busybox = Buffer.concat(chunks);
  docker = await sharedDockerCli();
}, 60_000);

async function context(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rvm-build-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(path.join(folder, 'bin'));
  await writeFile(path.join(folder, 'bin/sh'), busybox);
  await chmod(path.join(folder, 'bin/sh'), 0o755);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return folder;
}

const build = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  rosettaVm(['build', '--machine', sharedMachine(), ...args], env);

/** Starts a build that is not waited for; `said` answers with what it has written for people. */
function startBuild(args: readonly string[]) {
  const argv = [packageFile('dist/rosetta-vm.js'), 'build', '-m', sharedMachine(), ...args];
  const started = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  started.stderr.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  return { process: started, said: () => text };
}

/** What builds have left in the guest. */
const leftovers = async (): Promise<string> => {
  const script = 'ls -d /data/builds/*/ /run/rosetta-vm/builds/*/ 2>/dev/null';
  return (await runInGuest(await sharedAgent(), ['sh', '-c', script])).stdout;
};

describe('the context', () => {
  test('arrives without what .dockerignore excludes, with odd names, modes and links', async () => {
    const long = `${'folder-with-a-long-name/'.repeat(8)}${'f'.repeat(120)}`;
    const folder = await context({
      Dockerfile: 'FROM scratch\nCOPY . /',
      '.dockerignore': 'Dockerfile\n.dockerignore\nsecret\nlogs\n!logs/keep\n',
      secret: 'no',
      'logs/a': 'no',
      'logs/keep': 'yes',
      [long]: 'long',
      ünï: 'u',
    });
    await symlink(`/${'x'.repeat(120)}`, path.join(folder, 'link'));
    const out = path.join(folder, 'out');
    expect(await build([...NATIVE, '-o', `type=local,dest=${out}`, folder])).toMatchObject({ status: 0 });
    expect((await readdir(out)).sort()).toEqual(['bin', 'folder-with-a-long-name', 'link', 'logs', 'ünï'].sort());
    expect(await readdir(path.join(out, 'logs'))).toEqual(['keep']);
    expect(await readFile(path.join(out, long), 'utf8')).toBe('long');
    expect(await readlink(path.join(out, 'link'))).toBe(`/${'x'.repeat(120)}`);
    expect((await readFile(path.join(out, 'bin/sh'))).equals(busybox)).toBe(true);
    expect(await leftovers()).toBe('');
  });

  test('stays apart from a Dockerfile that lies elsewhere or comes from standard input, and from named contexts', async () => {
    const folder = await context({});
    const definition = await context({
      'Other.Dockerfile': 'FROM scratch\nARG A\nLABEL a=$A\nCOPY . /\nCOPY --from=more /extra /extra',
      'more/extra': 'extra',
    });
    const out = path.join(definition, 'out');
    const file = path.join(definition, 'Other.Dockerfile');
    const more = `more=${path.join(definition, 'more')}`;
    const outcome = await build(
      [...NATIVE, '-f', file, '--build-context', more, '--build-arg', 'A', '-o', out, folder],
      { A: 'from the environment' },
    );
    expect(outcome).toMatchObject({ status: 0 });
    expect((await readdir(out)).sort()).toEqual(['bin', 'extra']);
  });
});

describe('what a build takes and gives', () => {
  test('a secret is there in its step, in no image and nowhere in the guest afterwards', async () => {
    const folder = await context({
      Dockerfile: 'FROM scratch\nCOPY bin /bin\nRUN --mount=type=secret,id=tok read x </run/secrets/tok; echo got $x',
    });
    const outcome = await build(
      [...NATIVE, '--no-cache', '--secret', 'id=tok,env=TOK', '--iidfile', `${folder}/iid`, folder],
      {
        TOK: 'hidden-1234',
      },
    );
    expect(outcome.status).toBe(0);
    expect(outcome.stderr).toContain('got hidden-1234');
    const id = await readFile(path.join(folder, 'iid'), 'utf8');
    const saved = await runInGuest(await sharedAgent(), ['sh', '-c', `docker save ${id} | grep -c hidden-1234`]);
    expect(saved.stdout.trim()).toBe('0');
    expect(await leftovers()).toBe('');
  });

  test('tags, --quiet and archives: the image’s id, an OCI layout in a file, a tar on stdout', async () => {
    const folder = await context({
      Dockerfile: 'FROM scratch AS one\nCOPY bin /bin\nFROM one\nCOPY extra /',
      extra: 'x',
    });
    const quiet = await build([...NATIVE, '-q', '-t', 'rvm-test:a', '-t', 'rvm-test:b', folder]);
    expect(quiet).toMatchObject({ status: 0, stderr: '' });
    expect((await docker(['image', 'inspect', '--format', '{{.Id}}', 'rvm-test:b'])).stdout).toBe(quiet.stdout);
    const archive = path.join(folder, 'image.tar');
    expect(await build([...NATIVE, '-t', 'rvm-test:a', '-o', `type=oci,dest=${archive}`, folder])).toMatchObject({
      status: 0,
    });
    expect(execFileSync('tar', ['-tf', archive], { encoding: 'utf8' })).toContain('index.json');
    const files = await build([...NATIVE, '--target', 'one', '-o', '-', folder]);
    expect(files.status).toBe(0);
    expect(files.stdout).toContain('ustar');
    await docker(['image', 'rm', 'rvm-test:a', 'rvm-test:b']);
  });
});

describe('a build that fails', () => {
  test('by itself ends with 1, names the step and the line, and is not tried again', async () => {
    const folder = await context({ Dockerfile: 'FROM scratch\nCOPY bin /bin\nRUN echo no such library >&2; exit 3' });
    const outcome = await build([...NATIVE, '--json', folder]);
    expect(outcome.status).toBe(1);
    const { error } = JSON.parse(outcome.stderr);
    expect(error).toMatchObject({ code: 'E_BUILD', facts: { tries: 1, suspected: false } });
    expect(error.what).toContain('RUN echo no such library');
    expect(error.why).toContain('exit code: 3');
    expect(await leftovers()).toBe('');
  });

  test('for its Dockerfile tells the line', async () => {
    const folder = await context({ Dockerfile: 'FROM scratch\nCOPPY bin /bin' });
    const outcome = await build([...NATIVE, folder]);
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toContain('COPPY');
  });

  test('for Ctrl-C ends with 130 and leaves nothing behind', async () => {
    const folder = await context({ Dockerfile: 'FROM scratch\nCOPY bin /bin\nRUN echo begun; while :; do :; done' });
    const child = startBuild([...NATIVE, folder]);
    await expect.poll(child.said, { timeout: 60_000 }).toMatch(/^#\d+ begun/m);
    const status = new Promise((resolve) => child.process.once('exit', resolve));
    child.process.kill('SIGINT');
    expect(await status).toBe(130);
    expect(await leftovers()).toBe('');
    await expect.poll(async () => (await docker(['ps', '-q'])).stdout, { timeout: 30_000 }).toBe('');
  });
});

test('the probe says from inside a step what translates and that the cache is in reach', async () => {
  const outcome = await build(['--probe', '--json']);
  expect(JSON.parse(outcome.stdout)).toMatchObject([{ translator: 'box64', cache: true }]);
  const [status, doctor] = [await rosettaVm(['status', sharedMachine(), '--probe']), await rosettaVm(['doctor'])];
  expect(status.stdout).toMatch(/^ {2}build step +box64, with the cache, \d+ entr(y|ies) new and \d+ reused$/m);
  expect(doctor.stdout).toContain(`x86_64 builds in ${sharedMachine()} run in box64, with the translation cache`);
});

describe('x86_64 steps', () => {
  beforeAll(async () => {
    amd64 = await amd64Image();
  }, 240_000);

  test('are explained: the translator that ran, and what the cache gave', async () => {
    const folder = await context({ Dockerfile: `FROM ${amd64}\nRUN perl -e 1; perl -e 2; true` });
    const outcome = await build(['--json', '--explain', '--no-cache', folder]);
    expect(outcome.status).toBe(0);
    const [result] = JSON.parse(outcome.stdout);
    const step = result.steps.find(({ name }: { name: string }) => name.includes('RUN perl'));
    expect(step).toMatchObject({ cached: false, failed: false, overlaps: [] });
    const [{ name, execs }] = step.translators;
    expect(name).toBe('box64');
    expect(execs).toBeGreaterThanOrEqual(3);
    expect(step.cache.newEntries + step.cache.reusedEntries).toBeGreaterThan(0);
  });

  test('that fail as if the cache were at fault are built without it, and the cache is on again afterwards', async () => {
    const agent = await sharedAgent();
    // bash's words about a child, from a step that only fails with the cache in its container.
    const script =
      '[ ! -e /dev/rvm-cache ] || { echo "line 1: 9 Illegal instruction (core dumped) /opt/tool" >&2; exit 132; }';
    const folder = await context({ Dockerfile: `FROM ${amd64}\nRUN ${script}` });
    onTestFinished(async () => void (await agent.denyRemove({ program: '/opt/tool' }).catch(() => {})));
    expect(await build(['--no-retry', '--no-cache', folder])).toMatchObject({ status: 1 });
    const outcome = await build(['--no-cache', folder]);
    expect(outcome.stderr).toContain('without the translation cache');
    expect(outcome.status).toBe(0);
    expect((await agent.denyList()).rows).toMatchObject([{ program: '/opt/tool', from: 'cache' }]);
    expect((await agent.health()).cache.state).toBe('on');
  });

  test('whose second try is killed, and with it the command line, leave the cache on and nothing behind', async () => {
    const agent = await sharedAgent();
    const script =
      '[ ! -e /dev/rvm-cache ] || { echo "line 1: 9 Illegal instruction (core dumped) /opt/tool" >&2; exit 132; }; echo second; while :; do :; done';
    const folder = await context({ Dockerfile: `FROM ${amd64}\nRUN ${script}` });
    const child = startBuild(['--no-cache', folder]);
    const gone = new Promise((resolve) => child.process.once('exit', resolve));
    await expect.poll(child.said, { timeout: 120_000 }).toMatch(/^#\d+ (?:[\d.]+ )?second/m);
    expect((await agent.health()).cache).toMatchObject({ state: 'off', reason: expect.stringContaining('build') });
    child.process.kill('SIGKILL');
    await gone;
    await expect.poll(async () => (await agent.health()).cache.state, { timeout: 30_000 }).toBe('on');
    await expect.poll(leftovers, { timeout: 30_000 }).toBe('');
    expect((await agent.denyList()).rows).toEqual([]);
  });

  test('whose program its translator cannot run get the next translator, and from then on at once', async () => {
    const agent = await sharedAgent();
    const folder = await context({ Dockerfile: `FROM ${amd64}\nCOPY picky /opt/picky\nRUN ["/opt/picky"]` });
    await compilePicky(folder);
    onTestFinished(async () => void (await agent.denyRemove({ program: '/opt/picky' }).catch(() => {})));
    const first = await build(['--no-cache', folder]);
    expect(first.status, first.stderr).toBe(0);
    // What the program printed: the translator's own brand.
    expect(first.stderr, first.stderr).toMatch(/Box64 v\S+ on arm64/);
    const told = [
      /failed as if its translator did \(exit status 132\)\. Trying once more without the translation cache\./,
      /failed as if its translator did \(exit status 132\)\. Trying once more with qemu instead\./,
      /It succeeded with qemu instead\. \/opt\/picky is kept from box64 from now on/,
    ];
    const places = told.map((words) => first.stderr.search(words));
    expect(
      places.every((place, i) => place > (places[i - 1] ?? -1)),
      first.stderr,
    ).toBe(true);
    expect((await agent.health()).translator.active?.name).toBe('box64');
    expect((await agent.health()).cache.state).toBe('on');

    const listed = await rosettaVm(['cache', 'deny', 'list', sharedMachine()]);
    expect(listed.stdout).toMatch(/\/opt\/picky.*box64/);
    const denied = async (): Promise<number> =>
      (await agent.execCounts()).translators.find(({ name }) => name === 'qemu')?.reasons.deny ?? Number.NaN;
    const before = await denied();
    const next = await build(['--no-cache', folder]);
    expect(next.status, next.stderr).toBe(0);
    expect(next.stderr).not.toMatch(/Box64|Trying once more/);
    expect((await denied()) - before).toBe(1);
  });
});

/** A program that does not bear to be run by box64: it dies by SIGILL, with the cache and without it. */
async function compilePicky(folder: string): Promise<void> {
  await compileAmd64(
    path.join(folder, 'picky'),
    `#include <cpuid.h>
    #include <stdio.h>
    #include <string.h>
    int main(void) {
      unsigned words[13] = {0};
      for (unsigned i = 0; i < 3; i += 1) {
        unsigned *at = words + 4 * i;
        __get_cpuid(0x80000002 + i, at, at + 1, at + 2, at + 3);
      }
      puts((char *)words);
      fflush(stdout);
      if (strstr((char *)words, "Box64") != NULL) __asm__("ud2");
      return 0;
    }`,
  );
}
