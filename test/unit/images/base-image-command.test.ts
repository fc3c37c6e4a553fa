import { describe, expect, it } from 'vitest';
import { commandLine } from '../cli/command-line.ts';
import { realAgent, standIn } from '../cli/stand-in.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const cli = commandLine();

describe('rosetta-vm image base', () => {
  it.each([
    ['without packages', ['image', 'base', 'debian'], '--packages'],
    ['for another processor', ['image', 'base', 'debian', '-p', 'make', '--arch', 'riscv64'], 'amd64, arm64'],
    ['without a name', ['image', 'base', '-p', 'make'], 'name'],
  ])('is refused %s, with what it wants', async (_, args, wanted) => {
    const { status, stderr } = await cli.run(args, { home: await temporaryFolder() });
    expect(status).toBe(2);
    expect(stderr).toContain(wanted);
  });

  it('needs a machine that exists', async () => {
    const args = ['image', 'base', 'debian', '-p', 'make', '--machine', 'none', '--json'];
    const { status, stderr } = await cli.run(args, { home: await temporaryFolder() });
    expect(status).toBe(3);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'E_NOT_FOUND' } });
  });

  it('names what is wrong with a name or a package, and reaches for no network', async () => {
    const home = await temporaryFolder();
    await standIn(home, 'ci', await realAgent());
    const named = await cli.run(['image', 'base', 'Debian', '-m', 'ci', '-p', 'make'], { home });
    expect(named).toMatchObject({ status: 2, stderr: expect.stringContaining('"Debian"') });
    const packed = await cli.run(['image', 'base', 'debian', '-m', 'ci', '-p', 'make, ../x'], { home });
    expect(packed).toMatchObject({ status: 2, stderr: expect.stringContaining('"../x"') });
  });
});
