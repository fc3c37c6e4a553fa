/** `npm run mac-check`: checks on this Mac what only a Mac can show, and prints a report for an issue. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, platform } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { addonFile } from '../../drivers/vz/load-addon.ts';
import { packageFile } from '../../package-root.ts';
import { runCommand } from '../../process/run-command.ts';
import { CLAIMS } from './claims/index.ts';
import { renderReport } from './report.ts';
import { checkClaims } from './run.ts';

const USAGE = `npm run mac-check -- [options]

Checks what only a Mac can show, and prints a report in Markdown.

  --full          also what fetches container images; takes up to an hour
  --only <id>     only these claims (and what they need); may be repeated
  --keep          leave the machine and its folder for a look
  -o <file>       write the report to a file as well
  --list          print the claims and end
  -h, --help      this text
`;

const OPTIONS = {
  full: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true, default: [] as string[] },
  keep: { type: 'boolean', default: false },
  output: { type: 'string', short: 'o' },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;
type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

const tell = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  let values: Values;
  try {
    values = parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    tell(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (values.help || values.list) {
    process.stdout.write(values.help ? USAGE : `${CLAIMS.map(({ id, claim }) => `${id}\t${claim}`).join('\n')}\n`);
    return 0;
  }
  const unknown = values.only.filter((id) => !CLAIMS.some((claim) => claim.id === id));
  if (unknown.length > 0) {
    tell(`There is no claim ${unknown.join(', ')}. \`npm run mac-check -- --list\` prints them.`);
    return 2;
  }
  if (platform() !== 'darwin') {
    tell('This is no Mac. What this command checks, only a Mac can show.');
    return 5;
  }
  return await report(values);
}

async function report(values: Values): Promise<number> {
  // Below the home folder: the sockets' paths must stay short, and $TMPDIR is half the limit long on macOS.
  const parent = path.join(homedir(), '.rosetta-vm-check');
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(path.join(parent, 'c-'));
  const stop = new AbortController();
  process.once('SIGINT', () => {
    tell('Stopping; the report of what was checked follows.');
    stop.abort();
  });
  try {
    const outcome = await checkClaims({
      // What other claims build on is checked with every choice.
      claims: CLAIMS.filter(
        ({ id, shows }) => values.only.length === 0 || shows !== undefined || values.only.includes(id),
      ),
      folder,
      cli: [process.execPath, packageFile('dist/rosetta-vm.js')],
      addon: await addonFile().catch(() => null),
      full: values.full,
      keep: values.keep,
      run: runCommand,
      env: process.env,
      onClaim: ({ claim }, index, count) => tell(`[${index + 1}/${count}] ${claim}`),
      signal: stop.signal,
    });
    const text = renderReport(outcome, { home: homedir(), date: new Date().toISOString().slice(0, 10) });
    process.stdout.write(text);
    if (values.output !== undefined) await writeFile(values.output, text);
    return outcome.checked.some(({ verdict }) => verdict.result === 'fail') ? 1 : 0;
  } finally {
    if (values.keep) tell(`Kept: ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
