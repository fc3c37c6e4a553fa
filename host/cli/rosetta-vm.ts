#!/usr/bin/env node
/** The program `rosetta-vm`. Scripts ask for the version often, so that costs no more than Node itself. */
import { version } from '../version.ts';

const [first, ...more] = process.argv.slice(2);
if ((first === '--version' || first === '-V') && more.length === 0) {
  process.stdout.write(`${version}\n`);
} else {
  const { main } = await import('./main.ts');
  process.exitCode = await main(process.argv.slice(2));
}
