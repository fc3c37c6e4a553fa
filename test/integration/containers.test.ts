/** What the runc shim does to containers, and what it leaves alone: with it, without it, and beside what a user asks for. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { AgentClient } from '../../host/channel/agent-client.ts';
import { type DockerCli, type DockerOutcome, sharedDockerCli } from './docker-cli.ts';
import { amd64Image, runInGuest, sharedAgent } from './support.ts';

/** The same with files that BuildKit mounts over. */
const FILLED = 'test/containers:filled';
const ARM64 = 'test/containers:busybox';
/** Where the agent puts the shim, first on dockerd's PATH (guest/engine/daemon.ts). */
const SHIM = '/run/rosetta-vm/engine/bin/runc';
/** What it gives to containers, written by the agent. */
const EDITS = '/run/rosetta-vm/engine/edits';
/** Fills a container's standard output with what translated it and whether the cache is in reach. */
const PROBE = 'uname -m; test -w /dev/rvm-cache && echo cache; test -w /dev/rvm/table || echo guarded';

let agent: AgentClient;
let docker: DockerCli;
let amd64: string;
beforeAll(async () => {
  agent = await sharedAgent();
  docker = await sharedDockerCli();
  amd64 = await amd64Image();
  await guest(`cd /tmp && mkdir -p native/bin && cp /bin/busybox native/bin/ && tar -C native -c . |
    docker import --platform linux/arm64 - ${ARM64}`);
}, 170_000);

async function guest(script: string): Promise<string> {
  const { stdout, stderr, exit } = await runInGuest(agent, ['sh', '-c', script]);
  expect(exit, stderr).toEqual({ code: 0, signal: null });
  return stdout;
}

const runAmd64 = (options: readonly string[], script: string): Promise<DockerOutcome> =>
  docker(['run', '--rm', '--platform', 'linux/amd64', ...options, amd64, 'sh', '-c', script]);

/** Runs `work` while dockerd finds the runtime itself where the shim is otherwise. */
async function withoutShim<T>(work: () => Promise<T>): Promise<T> {
  await guest(`mv ${SHIM} ${SHIM}.away && ln -s /usr/bin/crun ${SHIM}`);
  try {
    return await work();
  } finally {
    await guest(`mv ${SHIM}.away ${SHIM}`);
  }
}

/** Layers and configuration of an image of one step, whose times are fixed. */
async function builtImage(tag: string, more = 'true'): Promise<string> {
  const script = `mkdir /made && cp /bin/true /made/true && touch -d @0 /made/true /made && ${more}`;
  const dockerfile = `FROM ${FILLED}\nRUN ${script}\n`;
  const argv = ['build', '--no-cache', '--platform', 'linux/amd64', '--network', 'none', '-t', tag, '-'];
  const built = await docker(argv, dockerfile);
  expect(built.status, built.stderr).toBe(0);
  return (await docker(['image', 'inspect', '--format', '{{json .RootFS}} {{json .Config}}', tag])).stdout;
}

describe('an image', () => {
  beforeAll(async () => {
    // BuildKit mounts these two in every step. Where they are missing it makes and removes them, and the time of /etc
    // gets into the layer: two builds then differ, shim or not.
    await guest(`cd $(mktemp -d) && mkdir -p etc home/me && touch etc/hosts etc/resolv.conf &&
      printf 'FROM ${amd64}\\nCOPY etc /etc/\\nCOPY home /home/\\nENV HOME=/home/me\\n' > Dockerfile &&
      docker build --platform linux/amd64 -t ${FILLED} .`);
  }, 120_000);

  it('has the same layers and configuration, whether the shim was there or not', async () => {
    const withIt = await builtImage('test/containers:with');
    expect(await builtImage('test/containers:again')).toBe(withIt);
    expect(await withoutShim(() => builtImage('test/containers:without'))).toBe(withIt);
    expect(withIt).not.toMatch(/rvm|BOX64/);
  });

  it('has nothing of what the translator left in the home, as Rosetta does, and is the same each time', async () => {
    await builtImage('test/containers:clean');
    const clean = await layerOf('test/containers:clean');
    await guest(`cp ${EDITS} ${EDITS}.before && echo 'scratch .cache/rosetta' >> ${EDITS}`);
    try {
      const leave = 'mkdir -p ~/.cache/rosetta && echo x > ~/.cache/rosetta/x';
      const image = await builtImage('test/containers:removed', leave);
      // overlayfs copied the home up when something was made in it, so Docker has it in the layer; it is as it was.
      const homes = ['home/', 'home/me/'];
      expect(await layerOf('test/containers:removed')).toEqual([...homes, ...clean].sort());
      expect(await builtImage('test/containers:removed-again', leave)).toBe(image);
    } finally {
      await guest(`mv ${EDITS}.before ${EDITS}`);
    }
  });
});

/** Names in an image's last layer, sorted. */
async function layerOf(tag: string): Promise<string[]> {
  const names = await guest(`cd $(mktemp -d) && docker save ${tag} | tar -x &&
    tar -tf $(node -p 'JSON.parse(fs.readFileSync("manifest.json"))[0].Layers.at(-1)'); rm -rf "$PWD"`);
  return names.trim().split('\n').sort();
}

describe('a container of x86_64 programs has translator and cache', () => {
  it.each([
    ['by default', []],
    ['with a read-only root', ['--read-only']],
    ['as another user', ['--user', '1000:1000']],
    ['without a network', ['--network', 'none']],
    ['on the host’s network', ['--network', 'host']],
    ['with every privilege', ['--privileged']],
    ['without any capability', ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']],
    ['with mounts of its own', ['--volume', '/data:/dev/mine:ro', '--tmpfs', '/scratch']],
  ])('%s', async (_how, options) => {
    expect(await runAmd64(options, PROBE)).toMatchObject({ stdout: 'x86_64\ncache\nguarded\n', status: 0 });
  });

  it('and what `docker exec` starts in it has them too', async () => {
    const { stdout: id } = await docker(['run', '-d', '--platform', 'linux/amd64', amd64, 'sleep', '60']);
    try {
      expect((await docker(['exec', id.trim(), 'sh', '-c', PROBE])).stdout).toBe('x86_64\ncache\nguarded\n');
    } finally {
      await docker(['rm', '--force', id.trim()]);
    }
  });

  it('but keeps a mount and a variable that its user gave', async () => {
    const options = ['--tmpfs', '/dev/rvm-cache:mode=755', '--env', 'BOX64_DYNACACHE=0', '--user', '1000'];
    const { stdout } = await runAmd64(options, 'echo $BOX64_DYNACACHE; test -w /dev/rvm-cache || echo mine');
    expect(stdout).toBe('0\nmine\n');
  });

  it('also while the agent does not answer', async () => {
    // One script, because no other could be started meanwhile.
    const stdout = await guest(`agent=$(pgrep -f '[b]oot/agent.cjs')
      kill -STOP $agent
      timeout 60 docker run --rm --platform linux/amd64 ${amd64} sh -c '${PROBE}'
      status=$?
      kill -CONT $agent
      exit $status`);
    expect(stdout).toBe('x86_64\ncache\nguarded\n');
  });
});

describe('a container without /proc', () => {
  const qemuExecs = async (): Promise<number | undefined> =>
    (await agent.execCounts()).translators.find(({ name }) => name === 'qemu')?.execs;

  it('has translator and cache for what starts when /proc has gone', async () => {
    const before = await qemuExecs();
    const ran = await runAmd64(['--privileged'], `umount -l /proc && ls /proc; ${PROBE}`);
    expect(ran).toMatchObject({ stdout: 'x86_64\ncache\nguarded\n', status: 0 });
    // It would say x86_64 as well.
    expect(await qemuExecs()).toBe(before);
  });

  it('has them also when it never had one', async () => {
    // Docker always mounts it, so this is a bundle of the runtime's own.
    const edit = `const fs = require('fs'), config = JSON.parse(fs.readFileSync('config.json'));
      config.process.terminal = false;
      config.process.args = ['/bin/sh', '-c', ${JSON.stringify(PROBE)}];
      config.mounts = config.mounts.filter(({ destination }) => destination !== '/proc');
      config.linux.maskedPaths = config.linux.readonlyPaths = [];
      fs.writeFileSync('config.json', JSON.stringify(config));`;
    const script = `cd $(mktemp -d) && mkdir rootfs && ${SHIM} spec && node -e "$1" &&
      id=$(docker create --platform linux/amd64 ${amd64} sh) && docker export $id | tar -x -C rootfs -f - &&
      docker rm $id >/dev/null && ${SHIM} run no-proc; status=$?; rm -rf "$PWD"; exit $status`;
    const before = await qemuExecs();
    const ran = await runInGuest(agent, ['sh', '-c', script, 'sh', edit]);
    expect(ran).toMatchObject({ stdout: 'x86_64\ncache\nguarded\n', exit: { code: 0 } });
    expect(await qemuExecs()).toBe(before);
  });
});

describe('a container of arm64 programs', () => {
  const run = (...script: string[]): string[] => ['run', '--rm', '--platform', 'linux/arm64', ARM64, ...script];

  it('is not touched', async () => {
    const { stdout } = await docker(run('/bin/busybox', 'cat', '/proc/self/mountinfo'));
    expect(stdout).toContain('/proc');
    expect(stdout).not.toContain('rvm');
  });

  it('starts as fast as without the shim', async () => {
    const once = async (): Promise<number> => {
      const started = performance.now();
      expect((await docker(run('/bin/busybox', 'true'))).status).toBe(0);
      return performance.now() - started;
    };
    await once();
    const ratios: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const withIt = await once();
      ratios.push(withIt / (await withoutShim(once)));
    }
    const ratio = ratios.sort((a, b) => a - b)[1] ?? 0;
    process.stdout.write(`docker run … true, with the shim against without: ${ratio.toFixed(2)}× (goal under 1.10×)\n`);
    // Whether it costs something, not how fast the machine is today.
    expect(ratio).toBeLessThan(1.5);
  });
});
