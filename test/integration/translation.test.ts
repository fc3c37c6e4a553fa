/** x86_64 programs in the running machine, through each translator, with the cache in every state. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AgentClient } from '../../host/channel/agent-client.ts';
import { amd64Tree, putAmd64, rosettaVm, runInGuest, sharedAgent, sharedMachine } from './support.ts';

let agent: AgentClient;
let root: string;
beforeAll(async () => {
  agent = await sharedAgent();
  root = await amd64Tree(agent);
});
afterEach(async () => {
  await agent.cacheSwitch({ enabled: true });
  await agent.translatorSwitch({ name: 'box64' });
});

/** perl prints what the kernel told it about itself: a program that lives long enough to be translated. */
const PERL = ['/usr/bin/perl', '-e', 'print 6 * 7, "\\n"'];
const perl = () => runInGuest(agent, PERL, { root });
const inGuest = async (script: string): Promise<string> =>
  (await runInGuest(agent, ['sh', '-c', script])).stdout.trim();

const DAMAGED_BYTES = 100;

/** Cuts one entry of the cache short; resolves to its name. */
async function damageOne(): Promise<string> {
  const { directory } = await agent.cacheStats();
  const entry = await inGuest(`ls ${directory} | head -n 1`);
  await inGuest(`truncate -s ${DAMAGED_BYTES} ${directory}/${entry}`);
  return entry;
}

/** Spoils a file as a disk does that decays: what is written through a mapping no watcher is told of (inotify(7)). */
const DECAY = `
  #include <fcntl.h>
  #include <string.h>
  #include <sys/mman.h>
  int main(int count, char **arguments) {
    int file = open(arguments[1], O_RDWR);
    char *start = mmap(0, 64, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (count != 2 || start == MAP_FAILED) return 1;
    memset(start, 0, 64);
    return 0;
  }`;

describe('the translator', () => {
  test('what the status says is what the kernel has, and it was proved by a program', async () => {
    const { translator } = await agent.health();
    expect(translator).toMatchObject({ state: 'ready', wanted: 'box64', active: { name: 'box64', proved: true } });
    const entry = await inGuest('cat /proc/sys/fs/binfmt_misc/rvm-router');
    expect(entry).toContain(`interpreter ${translator.active?.interpreter}`);
    expect(entry).toContain('magic 7f454c4602010100000000000000000002003e00');
  });

  test('an x86_64 program runs, in an x86_64 tree of its own', async () => {
    expect(await perl()).toEqual({ stdout: '42\n', stderr: '', exit: { code: 0, signal: null } });
    const machine = await runInGuest(agent, ['/usr/bin/uname', '-m'], { root });
    expect(machine.stdout).toBe('x86_64\n');
    expect((await runInGuest(agent, ['uname', '-m'])).stdout).toBe('aarch64\n');
  });

  test('gets memory in larger pieces than pages: fewer faults at each start', async () => {
    const script = 'open F, "/proc/self/stat"; print((split / /, <F>)[9])';
    const faults = async () => Number((await runInGuest(agent, ['/usr/bin/perl', '-e', script], { root })).stdout);
    const folios = (state: string) =>
      inGuest(
        `for size in 16 32; do echo ${state} >/sys/kernel/mm/transparent_hugepage/hugepages-\${size}kB/enabled; done`,
      );
    await faults();
    const inFolios = await faults();
    await folios('never');
    const inPages = await faults().finally(() => folios('always'));
    expect(inFolios).toBeLessThan(inPages * 0.7);
  });

  test('another one of the share takes over and gives back, and says so', async () => {
    const qemu = await agent.translatorSwitch({ name: 'qemu' });
    expect(qemu).toMatchObject({ state: 'ready', active: { name: 'qemu', proved: true } });
    expect((await perl()).stdout).toBe('42\n');
    expect(await agent.translatorSwitch({ name: 'box64' })).toMatchObject({ active: { name: 'box64', proved: true } });
  });

  test('a second handler for the same magic is found and removed', async () => {
    const rival =
      ':rival:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x3e\\x00:\\xff\\xff\\xff\\xff\\xff\\xfe\\xfe\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:/bin/true:';
    await inGuest(`printf '%s' '${rival}' > /proc/sys/fs/binfmt_misc/register`);
    expect((await perl()).stdout).toBe('');
    const status = await agent.translatorSwitch({ name: 'box64' });
    expect(status).toMatchObject({ removedHandlers: ['rival'], active: { name: 'box64', proved: true } });
    expect((await perl()).stdout).toBe('42\n');
  });

  test('rosetta was not asked for at the start, and asking for it now says so and changes nothing', async () => {
    const refused = { code: 'E_STATE', what: expect.stringContaining('without rosetta') };
    await expect(agent.translatorSwitch({ name: 'rosetta' })).rejects.toMatchObject(refused);
    expect((await perl()).stdout).toBe('42\n');
  });
});

describe('the cache', () => {
  test('fills, is on the data disk, and is counted by program', async () => {
    await agent.cachePrune({ all: true });
    await perl();
    const stats = await agent.cacheStats();
    expect(stats).toMatchObject({ backend: 'dynacache', state: 'on', directory: expect.stringMatching(/^\/data\//) });
    expect(stats.entries).toBeGreaterThan(0);
    expect(stats.bytes).toBeGreaterThan(0);
    expect(stats.programs.map(({ name }) => name)).toContain('/usr/bin/perl');
    const { translator } = await agent.health();
    expect(stats.build).toBe(translator.active?.build);
    await perl();
    expect((await agent.cacheStats()).entries).toBe(stats.entries);
  });

  test('off, programs run and write nothing', async () => {
    await agent.cachePrune({ all: true });
    await agent.cacheSwitch({ enabled: false });
    expect((await perl()).stdout).toBe('42\n');
    expect(await agent.cacheStats()).toMatchObject({ state: 'off', entries: 0 });
  });

  test('an entry that decayed unseen is found by verify and removed by prune', async () => {
    await perl();
    await agent.cacheSwitch({ enabled: false });
    const { directory } = await agent.cacheStats();
    await putAmd64(agent, '/tmp/decay', DECAY);
    // The agent looks at what was written a moment ago: what lies there broken goes after all that came before it.
    const broken = `${directory}/broken.box64`;
    await inGuest(`: >${broken}`);
    await expect.poll(() => inGuest(`ls ${broken} 2>/dev/null`), { timeout: 30_000 }).toBe('');

    const findAndPrune = async (entry: string) => {
      await inGuest(`/tmp/decay ${directory}/${entry}`);
      const { corrupt } = await agent.cacheVerify();
      return { entry, corrupt: corrupt.map((one) => one.entry), ...(await agent.cachePrune({})) };
    };
    const [first = '', second = ''] = (await inGuest(`ls ${directory}`)).split('\n');
    let found = await findAndPrune(first);
    // The agent prunes by itself half a minute after something was written: that may be now, and then not again.
    if (found.removedCorrupt === 0) found = await findAndPrune(second);
    expect(found).toMatchObject({ corrupt: [found.entry], removedCorrupt: 1 });
    expect((await agent.cacheVerify()).corrupt).toEqual([]);
  });

  test('an entry that is damaged while programs run harms none and goes by itself', async () => {
    await perl();
    const entry = await damageOne();
    const { directory } = await agent.cacheStats();
    await expect
      .poll(() => inGuest(`stat -c %s ${directory}/${entry} 2>/dev/null`), { timeout: 30_000 })
      .not.toBe(String(DAMAGED_BYTES));
    expect((await perl()).stdout).toBe('42\n');
    expect((await agent.cacheVerify()).corrupt).toEqual([]);
  });

  test('over a limit the oldest go, and a dry run only tells', async () => {
    await perl();
    await runInGuest(agent, ['/usr/bin/uname'], { root });
    const before = await agent.cacheStats();
    expect(before.entries).toBeGreaterThan(2);
    const keepBytes = Math.floor(before.bytes / 2);
    const told = await agent.cachePrune({ keepBytes, dryRun: true });
    expect((await agent.cacheStats()).entries).toBe(before.entries);
    const done = await agent.cachePrune({ keepBytes });
    expect({ ...done, dryRun: true }).toEqual(told);
    expect((await agent.cacheStats()).bytes).toBeLessThanOrEqual(keepBytes);
  });

  test('on a full data disk programs still run', async () => {
    await agent.cachePrune({ all: true });
    // Set aside but for a little, which is then written: to write gigabytes takes minutes here.
    await inGuest(`set -- $(stat -f -c "%f %S" /data); fallocate -l $(($1 * $2 - 64 * 1024 * 1024)) /data/filler
      dd if=/dev/zero of=/data/rest bs=1M 2>/dev/null; true`);
    expect((await agent.health()).dataDisk.freeBytes).toBeLessThan(1024 * 1024);
    expect((await perl()).stdout).toBe('42\n');
    await inGuest('rm /data/filler /data/rest');
    await agent.cachePrune({});
    expect((await perl()).stdout).toBe('42\n');
    expect((await agent.cacheVerify()).corrupt).toEqual([]);
  });

  test('without its folder programs still run', async () => {
    const { directory } = await agent.cacheStats();
    await inGuest(`mv ${directory} ${directory}.away`);
    expect((await perl()).stdout).toBe('42\n');
    await inGuest(`rm -rf ${directory}; mv ${directory}.away ${directory}`);
  });

  test('rosetta-vm cache prints it for people and for programs', async () => {
    const name = sharedMachine();
    await perl();
    const { status, stdout } = await rosettaVm(['cache', 'stats', name, '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ schemaVersion: 1, backend: 'dynacache', state: 'on' }]);
    expect((await rosettaVm(['cache', 'stats', name])).stdout).toContain('perl');
    expect(await rosettaVm(['cache', 'verify', name])).toMatchObject({ status: 0 });
  });
});
