#!/usr/bin/env node
/** The program `bench`: `npx bench`. Without a command it measures. */
import { runProgram } from '../../host/cli/main.ts';
import { createBench } from './program.ts';

const [first = '', ...more] = process.argv.slice(2);
const OF_THE_PROGRAM = ['-h', '--help', '-V', '--version'];
const measures = first === '' || (first.startsWith('-') && !OF_THE_PROGRAM.includes(first));
// Not commander's default command: that would take a mistyped command for an argument and suggest nothing.
const argv = measures ? ['run', ...(first === '' ? [] : [first]), ...more] : [first, ...more];
process.exitCode = await runProgram(argv, createBench);
